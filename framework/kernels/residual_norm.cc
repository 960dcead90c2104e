#include "framework/kernels/residual_norm.h"

#include <ATen/ATen.h>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

void residual_norm_cpu(const ResidualNorm& work) {
  if (work.added.defined()) {
    work.h.add_(work.added.to(at::kFloat) + work.added_bias.to(at::kFloat));
  }
  work.out.copy_(work.weight.defined()
                     ? at::layer_norm(work.h, {work.h.size(-1)}, work.weight, work.bias, 1e-5)
                     : work.h);
}

#ifndef TARFLOW_USE_CUDA
void residual_norm_cuda(const ResidualNorm&) { no_cuda_kernels(); }
#endif

void residual_norm(const ResidualNorm& work) {
  return work.h.is_cpu() ? residual_norm_cpu(work) : residual_norm_cuda(work);
}

}  // namespace tarflow::kernels
