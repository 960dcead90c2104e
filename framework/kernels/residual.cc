#include "framework/kernels/residual.h"

#include <ATen/ATen.h>

#include <cmath>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

void residual_cpu(const Residual& work) {
  int& stopped = *work.stopped.mutable_data_ptr<int>();
  int& done = *work.done.mutable_data_ptr<int>();
  if (stopped || done >= work.history.numel()) return;
  const double* change = work.change.const_data_ptr<double>();
  double total = 0;
  for (int64_t i = 0; i < work.change.numel(); ++i) total += change[i];
  const double value = std::sqrt(total) / work.elements;
  work.history.mutable_data_ptr<double>()[done++] = value;
  // As the published loop, which goes on while the difference is greater: not-a-number stops.
  if (work.stops && !(value > work.threshold)) stopped = 1;
  work.change.zero_();
}

#ifndef TARFLOW_USE_CUDA
void residual_cuda(const Residual&) { no_cuda_kernels(); }
#endif

void residual(const Residual& work) {
  return work.change.is_cpu() ? residual_cpu(work) : residual_cuda(work);
}

}  // namespace tarflow::kernels
