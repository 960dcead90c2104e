// The MLP's activation: GELU(x + bias), by the error function (method.md section 1).
#pragma once

#include <ATen/core/Tensor.h>

namespace tarflow::kernels {

// In place on rows (R, W), bias (W), both of the compute type; computed in fp32.
void bias_gelu(const at::Tensor& rows, const at::Tensor& bias);
void bias_gelu_cpu(const at::Tensor& rows, const at::Tensor& bias);
void bias_gelu_cuda(const at::Tensor& rows, const at::Tensor& bias);

}  // namespace tarflow::kernels
