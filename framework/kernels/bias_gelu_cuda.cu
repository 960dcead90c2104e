#include "framework/kernels/bias_gelu.h"
#include "framework/kernels/cuda_common.cuh"

namespace tarflow::kernels {
namespace {

constexpr int kThreads = 256;

template <typename T>
__global__ void gelu_kernel(T* rows, const T* bias, int64_t vectors, int64_t row_vectors) {
  constexpr int kCount = kVectorOf<T>;
  using Group = Vector<T, kCount>;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t v = int64_t{blockIdx.x} * kThreads + threadIdx.x; v < vectors; v += stride) {
    Group group = reinterpret_cast<Group*>(rows)[v];
    const Group shift = reinterpret_cast<const Group*>(bias)[v % row_vectors];
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const float x = as_float(group.item[k]) + as_float(shift.item[k]);
      group.item[k] = from_float<T>(0.5f * x * (1.0f + erff(x * 0.70710678f)));
    }
    reinterpret_cast<Group*>(rows)[v] = group;
  }
}

}  // namespace

void bias_gelu_cuda(const at::Tensor& rows, const at::Tensor& bias) {
  const c10::cuda::CUDAGuard guard(rows.device());
  require_contiguous({rows, bias});
  by_type(rows, [&](auto type) {
    using T = decltype(type);
    TORCH_CHECK(bias.numel() % kVectorOf<T> == 0, "bias_gelu needs rows of a multiple of 16 bytes");
    const int64_t vectors = rows.numel() / kVectorOf<T>;
    gelu_kernel<T><<<blocks_for(vectors, kThreads), kThreads, 0, stream()>>>(
        out_of<T>(rows), data_of<T>(bias), vectors, bias.numel() / kVectorOf<T>);
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace tarflow::kernels
