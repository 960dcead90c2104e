#include "framework/kernels/bias_gelu.h"

#include <ATen/ATen.h>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

void bias_gelu_cpu(const at::Tensor& rows, const at::Tensor& bias) {
  rows.copy_(at::gelu(rows.to(at::kFloat) + bias.to(at::kFloat)));
}

#ifndef TARFLOW_USE_CUDA
void bias_gelu_cuda(const at::Tensor&, const at::Tensor&) { no_cuda_kernels(); }
#endif

void bias_gelu(const at::Tensor& rows, const at::Tensor& bias) {
  return rows.is_cpu() ? bias_gelu_cpu(rows, bias) : bias_gelu_cuda(rows, bias);
}

}  // namespace tarflow::kernels
