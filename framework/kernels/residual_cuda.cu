#include <ATen/ops/empty.h>

#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/guided_update.h"
#include "framework/kernels/residual.h"
#include "framework/kernels/stop_rule.h"

namespace tarflow::kernels {
namespace {

constexpr int kThreads = 128;

// One block per image. Each thread reads every 128th token. The order of the sums follows from T
// alone. The changes in `statistics` become zero.
__global__ void measure_kernel(double* statistics, int64_t tokens, int64_t first, int64_t last,
                               Measure* measures, double* change, int64_t limit, const int* done,
                               const int* finished) {
  if (*finished || *done >= limit) return;
  __shared__ Measure parts[kThreads];
  Measure own{0, 0, 0, 0};
  for (int64_t token = first + threadIdx.x; token < last; token += kThreads) {
    take_token(own, statistics + (int64_t{blockIdx.x} * tokens + token) * kStatistics);
  }
  parts[threadIdx.x] = own;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) join(parts[threadIdx.x], parts[threadIdx.x + half]);
    __syncthreads();
  }
  if (threadIdx.x > 0) return;
  measures[blockIdx.x] = parts[0];
  change[blockIdx.x] = parts[0].squares;
}

// One block. All threads read images, and the first thread adds them in image order. If `measures`
// is null, only the squares are known.
__global__ void residual_kernel(double* change, const Measure* measures, int64_t images,
                                double* history, int64_t limit, int* done, int* stopped,
                                int* finished, double width, bool has_stop, Stop stop) {
  __shared__ Measure values[kThreads];
  const int count = *done;
  if (*finished || count >= limit) return;
  Measure all{0, 0, 0, 0};
  bool all_stopped = true;
  for (int64_t from = 0; from < images; from += kThreads) {
    const int64_t mine = from + threadIdx.x;
    if (mine < images) {
      values[threadIdx.x] = measures ? measures[mine] : Measure{change[mine], 0, 0, 0};
      change[mine] = 0;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      const int64_t here = min(int64_t{kThreads}, images - from);
      for (int64_t i = 0; i < here; ++i) {
        join(all, values[i]);
        if (!has_stop || stop.scope != Scope::kImage) continue;
        if (ends(stop, value_of(stop.norm, values[i], 1, width))) stopped[from + i] = 1;
        all_stopped = all_stopped && stopped[from + i];
      }
    }
    __syncthreads();
  }
  if (threadIdx.x > 0) return;
  history[count] = value_of(Norm::kPublished, all, static_cast<double>(images), width);
  *done = count + 1;
  if (!has_stop) return;
  if (stop.scope == Scope::kImage) {
    *finished = all_stopped;
  } else if (ends(stop, value_of(stop.norm, all, static_cast<double>(images), width))) {
    for (int64_t i = 0; i < images; ++i) stopped[i] = 1;
    *finished = 1;
  }
}

}  // namespace

void residual_cuda(const Residual& work) {
  const c10::cuda::CUDAGuard guard(work.change.device());
  require_contiguous(
      {work.change, work.statistics, work.history, work.done, work.stopped, work.finished});
  const int64_t images = work.change.numel(), limit = work.history.numel();
  at::Tensor measures;
  if (work.statistics.defined()) {
    static_assert(sizeof(Measure) == 4 * sizeof(double));
    measures = at::empty({images, 4}, work.change.options());
    measure_kernel<<<static_cast<unsigned>(images), kThreads, 0, stream()>>>(
        out_of<double>(work.statistics), work.statistics.size(1), work.first, work.last,
        static_cast<Measure*>(measures.mutable_data_ptr()), out_of<double>(work.change), limit,
        data_of<int>(work.done), data_of<int>(work.finished));
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  residual_kernel<<<1, kThreads, 0, stream()>>>(
      out_of<double>(work.change), data_of<Measure>(measures), images, out_of<double>(work.history),
      limit, out_of<int>(work.done), out_of<int>(work.stopped), out_of<int>(work.finished),
      static_cast<double>(work.width), work.stop.has_value(), work.stop.value_or(Stop{}));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace tarflow::kernels
