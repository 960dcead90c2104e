#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/residual.h"

namespace tarflow::kernels {
namespace {

constexpr int kThreads = 128;

// One block. The first thread adds in image order what all have read.
__global__ void residual_kernel(double* change, int64_t images, double* history, int64_t most,
                                int* done, int* stopped, double elements, bool stops,
                                double threshold) {
  __shared__ double values[kThreads];
  const int count = *done;
  if (*stopped || count >= most) return;
  double total = 0;
  for (int64_t from = 0; from < images; from += kThreads) {
    const int64_t mine = from + threadIdx.x;
    if (mine < images) {
      values[threadIdx.x] = change[mine];
      change[mine] = 0;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      const int64_t here = min(int64_t{kThreads}, images - from);
      for (int64_t i = 0; i < here; ++i) total += values[i];
    }
    __syncthreads();
  }
  if (threadIdx.x > 0) return;
  const double value = sqrt(total) / elements;
  history[count] = value;
  *done = count + 1;
  if (stops && !(value > threshold)) *stopped = 1;
}

}  // namespace

void residual_cuda(const Residual& work) {
  const c10::cuda::CUDAGuard guard(work.change.device());
  require_contiguous({work.change, work.history, work.done, work.stopped});
  residual_kernel<<<1, kThreads, 0, stream()>>>(out_of<double>(work.change), work.change.numel(),
                                                out_of<double>(work.history), work.history.numel(),
                                                out_of<int>(work.done), out_of<int>(work.stopped),
                                                work.elements, work.stops, work.threshold);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace tarflow::kernels
