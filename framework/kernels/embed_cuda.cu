#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/embed.h"

namespace tarflow::kernels {
namespace {

constexpr int kThreads = 256;

template <typename T>
__global__ void take_kernel(const float* x, DevicePosition place, T* tokens, int64_t images,
                            int64_t length, int64_t depth, int64_t n, int64_t width) {
  const int64_t first = place.token(), stride = int64_t{gridDim.x} * kThreads;
  for (int64_t e = int64_t{blockIdx.x} * kThreads + threadIdx.x; e < images * n * width;
       e += stride) {
    const int64_t d = e % width, row = e / width, token = first + row % n, image = row / n;
    const bool inside = d < depth && token < length;
    tokens[e] = from_float<T>(inside ? x[(image * length + token) * depth + d] : 0.0f);
  }
}

// Each thread computes four channels.
template <typename T>
__global__ void embed_kernel(const T* projected, const float* positions, const float* classes,
                             DevicePosition place, float* h, int64_t images, int64_t batch,
                             int64_t n, int64_t length, int64_t channels) {
  const int64_t quads = channels / 4, first = place.token(), stride = int64_t{gridDim.x} * kThreads;
  for (int64_t e = int64_t{blockIdx.x} * kThreads + threadIdx.x; e < batch * n * quads;
       e += stride) {
    const int64_t c = 4 * (e % quads), row = e / quads, i = row % n, b = row / n;
    const int64_t token = min(first + i, length - 1);
    const auto in =
        *reinterpret_cast<const Vector<T, 4>*>(projected + ((b % images) * n + i) * channels + c);
    const auto position =
        *reinterpret_cast<const Vector<float, 4>*>(positions + token * channels + c);
    const auto class_row = *reinterpret_cast<const Vector<float, 4>*>(classes + b * channels + c);
    Vector<float, 4> sum;
    for (int k = 0; k < 4; ++k)
      sum.item[k] = as_float(in.item[k]) + position.item[k] + class_row.item[k];
    *reinterpret_cast<Vector<float, 4>*>(h + row * channels + c) = sum;
  }
}

}  // namespace

void take_tokens_cuda(const at::Tensor& x, const Position& place, const at::Tensor& tokens) {
  const c10::cuda::CUDAGuard guard(x.device());
  require_contiguous({x, tokens});
  by_type(tokens, [&](auto type) {
    using T = decltype(type);
    take_kernel<T><<<blocks_for(tokens.numel(), kThreads), kThreads, 0, stream()>>>(
        x.const_data_ptr<float>(), on_device(place), out_of<T>(tokens), x.size(0), x.size(1),
        x.size(2), tokens.size(1), tokens.size(2));
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

void embed_cuda(const Embed& work) {
  const c10::cuda::CUDAGuard guard(work.h.device());
  require_contiguous({work.projected, work.positions, work.classes, work.h});
  const int64_t channels = work.h.size(2);
  TORCH_CHECK(channels % 4 == 0, "embed needs a multiple of 4 channels");
  by_type(work.projected, [&](auto type) {
    using T = decltype(type);
    embed_kernel<T><<<blocks_for(work.h.numel() / 4, kThreads), kThreads, 0, stream()>>>(
        data_of<T>(work.projected), work.positions.const_data_ptr<float>(),
        work.classes.const_data_ptr<float>(), on_device(work.place), out_of<float>(work.h),
        work.projected.size(0), work.h.size(0), work.h.size(1), work.positions.size(0), channels);
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace tarflow::kernels
