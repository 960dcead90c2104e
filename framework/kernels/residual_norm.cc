#include "framework/kernels/residual_norm.h"

#include <ATen/ATen.h>

#include "framework/kernels/layer_norm.h"
#include "framework/kernels/position.h"

namespace tarflow::kernels {

void residual_norm_cpu(const ResidualNorm& work) {
  at::Tensor sum = work.h;
  if (work.added.defined()) sum = sum + work.added.to(at::kFloat);
  if (work.shift.defined()) sum = sum + work.shift;
  if (work.store) work.h.copy_(sum);
  work.out.copy_(work.weight.defined() ? layer_norm(sum, work.weight, work.bias) : sum);
}

#ifndef TARFLOW_USE_CUDA
void residual_norm_cuda(const ResidualNorm&) { no_cuda_kernels(); }
#endif

void residual_norm(const ResidualNorm& work) {
  return work.h.is_cpu() ? residual_norm_cpu(work) : residual_norm_cuda(work);
}

}  // namespace tarflow::kernels
