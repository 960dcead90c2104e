#include <ATen/ops/empty.h>

#include "framework/kernels/column_sums.cuh"

namespace tarflow::kernels {
namespace {

constexpr int kColumns = 32, kSlots = 32;  // a block: a warp reads 32 neighbouring columns

// Slot s of a column adds up parts s, s + 32, ...; then the slots are added in their order.
__global__ void __launch_bounds__(kColumns* kSlots)
    sum_of_parts_kernel(const float* partial, float* sums, int64_t parts, int64_t columns) {
  __shared__ float slots[kSlots][kColumns];
  const int64_t column = int64_t{blockIdx.x} * kColumns + threadIdx.x;
  float total = 0;
  if (column < columns) {
#pragma unroll 8
    for (int64_t part = threadIdx.y; part < parts; part += kSlots)
      total += partial[part * columns + column];
  }
  slots[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y != 0 || column >= columns) return;
  for (int slot = 1; slot < kSlots; ++slot) total += slots[slot][threadIdx.x];
  sums[column] = total;
}

}  // namespace

at::Tensor sum_of_parts(const at::Tensor& partial) {
  const int64_t parts = partial.size(0), columns = partial.size(1);
  const at::Tensor sums = at::empty({columns}, partial.options());
  sum_of_parts_kernel<<<blocks_for(columns, kColumns), dim3(kColumns, kSlots), 0, stream()>>>(
      data_of<float>(partial), out_of<float>(sums), parts, columns);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return sums;
}

}  // namespace tarflow::kernels
