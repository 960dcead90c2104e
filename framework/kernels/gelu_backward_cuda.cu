#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include "framework/kernels/column_sums.cuh"
#include "framework/kernels/gelu_backward.h"
#include "framework/kernels/gelu_slope.h"

namespace tarflow::kernels {
namespace {

constexpr int kLanes = 32, kSlots = 8;  // a block: a warp reads 32 neighbouring vectors of a row

template <typename T>
using Group = Vector<T, kVectorOf<T>>;

// Slot s of all has rows s, s + slots, ...; it leaves the sums of its rows in partial (slots, W).
template <typename T>
__global__ void __launch_bounds__(kLanes* kSlots)
    gelu_backward_kernel(const T* inputs, const T* gradient, T* out, float* partial, int64_t rows,
                         int64_t row_vectors) {
  constexpr int kCount = kVectorOf<T>;
  const int64_t vector = int64_t{blockIdx.x} * kLanes + threadIdx.x;
  const int64_t slot = int64_t{blockIdx.y} * kSlots + threadIdx.y,
                slots = int64_t{gridDim.y} * kSlots;
  if (vector >= row_vectors) return;
  float sums[kCount] = {};
#pragma unroll 2
  for (int64_t row = slot; row < rows; row += slots) {
    const int64_t place = row * row_vectors + vector;
    const Group<T> x = reinterpret_cast<const Group<T>*>(inputs)[place],
                   g = reinterpret_cast<const Group<T>*>(gradient)[place];
    Group<T> result;
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      result.item[k] = from_float<T>(as_float(g.item[k]) * gelu_slope(as_float(x.item[k])));
      sums[k] += as_float(result.item[k]);
    }
    reinterpret_cast<Group<T>*>(out)[place] = result;
  }
  float* const own = partial + (slot * row_vectors + vector) * kCount;
#pragma unroll
  for (int k = 0; k < kCount; ++k) own[k] = sums[k];
}

// Returns the sums over rows, (W) fp32.
template <typename T>
at::Tensor launch(const GeluBackward& work, const at::Tensor& out) {
  const int64_t width = work.inputs.size(-1), rows = work.inputs.numel() / width;
  TORCH_CHECK(width % kVectorOf<T> == 0, "gelu_backward needs rows of a multiple of 16 bytes");
  const int64_t vectors = width / kVectorOf<T>;
  const unsigned across = blocks_for(vectors, kLanes);
  constexpr int64_t kMostBlocks = 65535;  // along y
  const int64_t resident = resident_blocks(gelu_backward_kernel<T>, kLanes * kSlots) / across;
  const int64_t down =
      std::clamp<int64_t>(std::min<int64_t>(blocks_for(rows, kSlots), resident), 1, kMostBlocks);
  const at::Tensor partial =
      at::empty({down * kSlots, width}, work.inputs.options().dtype(at::kFloat));
  gelu_backward_kernel<T>
      <<<dim3(across, static_cast<unsigned>(down)), dim3(kLanes, kSlots), 0, stream()>>>(
          data_of<T>(work.inputs), data_of<T>(work.gradient), out_of<T>(out),
          out_of<float>(partial), rows, vectors);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return sum_of_parts(partial);
}

}  // namespace

GeluGradients gelu_backward_cuda(const GeluBackward& work) {
  const c10::cuda::CUDAGuard guard(work.inputs.device());
  TORCH_CHECK(work.inputs.sizes() == work.gradient.sizes() &&
                  work.inputs.scalar_type() == work.gradient.scalar_type(),
              "gelu_backward needs inputs and a gradient of one shape and type");
  const int64_t width = work.inputs.size(-1);
  const at::Tensor out = at::empty_like(work.inputs);
  require_aligned({work.inputs, work.gradient, out});
  if (work.inputs.numel() == 0) return {out, at::zeros({width}, work.inputs.options())};
  at::Tensor sums;
  by_type(work.inputs, [&](auto type) { sums = launch<decltype(type)>(work, out); });
  return {out, sums.to(work.inputs.scalar_type())};
}

}  // namespace tarflow::kernels
