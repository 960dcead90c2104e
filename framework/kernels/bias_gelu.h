// The activation of the MLP: GELU(x + bias) with the error function (method.md section 1).
#pragma once

#include <ATen/core/Tensor.h>

namespace tarflow::kernels {

// Replaces rows (R, W) by GELU(rows + bias), where bias is (W). Both have the compute type. The
// arithmetic is fp32.
void bias_gelu(const at::Tensor& rows, const at::Tensor& bias);
void bias_gelu_cpu(const at::Tensor& rows, const at::Tensor& bias);
void bias_gelu_cuda(const at::Tensor& rows, const at::Tensor& bias);

}  // namespace tarflow::kernels
