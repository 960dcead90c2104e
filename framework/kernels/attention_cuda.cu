#include "framework/kernels/attention.h"
#include "framework/kernels/cuda_common.cuh"

namespace tarflow::kernels {
namespace {

__global__ void lengths_kernel(DevicePosition place, int64_t inputs, int64_t tokens, int64_t rows,
                               int* lengths) {
  const int64_t row = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, first = place.token();
  if (row >= rows) return;
  lengths[row] = static_cast<int>(min(inputs, tokens - first));
  lengths[rows + row] = static_cast<int>(min(first + inputs, tokens));
}

}  // namespace

void set_lengths_cuda(const Position& place, int64_t inputs, int64_t tokens,
                      const at::Tensor& lengths) {
  constexpr int kThreads = 256;
  const c10::cuda::CUDAGuard guard(lengths.device());
  require_contiguous({lengths});
  const int64_t rows = lengths.size(1);
  lengths_kernel<<<blocks_for(rows, kThreads), kThreads, 0, stream()>>>(
      on_device(place), inputs, tokens, rows, out_of<int>(lengths));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace tarflow::kernels
