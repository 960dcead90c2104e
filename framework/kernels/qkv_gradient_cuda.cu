#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "framework/kernels/column_sums.cuh"
#include "framework/kernels/qkv_gradient.h"

namespace tarflow::kernels {
namespace {

constexpr int kLanes = 32, kSlots = 8;  // a block: a warp reads 32 neighbouring vectors of a row

// Slot s of all has rows s, s + slots, ...; it leaves the sums of its rows in partial (slots, 3C).
template <typename T>
__global__ void __launch_bounds__(kLanes* kSlots)
    qkv_gradient_kernel(const T* queries, const T* keys, const T* values, T* qkv, float* partial,
                        int64_t rows, int64_t part_vectors) {
  constexpr int kCount = kVectorOf<T>;
  using Group = Vector<T, kCount>;
  const int64_t vector = int64_t{blockIdx.x} * kLanes + threadIdx.x, vectors = 3 * part_vectors;
  const int64_t slot = int64_t{blockIdx.y} * kSlots + threadIdx.y,
                slots = int64_t{gridDim.y} * kSlots;
  if (vector >= vectors) return;
  const int64_t part = vector / part_vectors, place = vector % part_vectors;
  const T* const from = part == 0 ? queries : part == 1 ? keys : values;
  float sums[kCount] = {};
#pragma unroll 4
  for (int64_t row = slot; row < rows; row += slots) {
    const Group group = reinterpret_cast<const Group*>(from)[row * part_vectors + place];
    reinterpret_cast<Group*>(qkv)[row * vectors + vector] = group;
#pragma unroll
    for (int k = 0; k < kCount; ++k) sums[k] += as_float(group.item[k]);
  }
  float* const own = partial + (slot * vectors + vector) * kCount;
#pragma unroll
  for (int k = 0; k < kCount; ++k) own[k] = sums[k];
}

// Returns the sums over rows, (3C) fp32.
template <typename T>
at::Tensor launch(const QkvParts& parts, const at::Tensor& qkv) {
  const int64_t width = parts.queries.size(-1), rows = parts.queries.numel() / width;
  TORCH_CHECK(width % kVectorOf<T> == 0, "qkv_gradient needs rows of a multiple of 16 bytes");
  const int64_t part_vectors = width / kVectorOf<T>;
  const unsigned across = blocks_for(3 * part_vectors, kLanes);
  constexpr int64_t kMostBlocks = 65535;  // along y
  const int64_t resident = resident_blocks(qkv_gradient_kernel<T>, kLanes * kSlots) / across;
  const int64_t down =
      std::clamp<int64_t>(std::min<int64_t>(blocks_for(rows, kSlots), resident), 1, kMostBlocks);
  const at::Tensor partial =
      at::empty({down * kSlots, 3 * width}, parts.queries.options().dtype(at::kFloat));
  qkv_gradient_kernel<T>
      <<<dim3(across, static_cast<unsigned>(down)), dim3(kLanes, kSlots), 0, stream()>>>(
          data_of<T>(parts.queries), data_of<T>(parts.keys), data_of<T>(parts.values),
          out_of<T>(qkv), out_of<float>(partial), rows, part_vectors);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return sum_of_parts(partial);
}

}  // namespace

QkvGradient qkv_gradient_cuda(const QkvParts& parts) {
  const c10::cuda::CUDAGuard guard(parts.queries.device());
  for (const at::Tensor& part : {parts.keys, parts.values}) {
    TORCH_CHECK(
        part.sizes() == parts.queries.sizes() && part.scalar_type() == parts.queries.scalar_type(),
        "qkv_gradient needs three parts of one shape and type");
  }
  std::vector<int64_t> sizes = parts.queries.sizes().vec();
  sizes.back() *= 3;
  const at::Tensor qkv = at::empty(sizes, parts.queries.options());
  require_aligned({parts.queries, parts.keys, parts.values, qkv});
  if (qkv.numel() == 0) return {qkv, at::zeros({sizes.back()}, qkv.options())};
  at::Tensor sums;
  by_type(qkv, [&](auto type) { sums = launch<decltype(type)>(parts, qkv); });
  return {qkv, sums.to(qkv.scalar_type())};
}

}  // namespace tarflow::kernels
