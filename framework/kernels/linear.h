// The linear layers of a block (method.md section 1). This file and its source are the only ones
// that name cuBLAS and LibTorch's private operators for products.
//
// Shapes: rows (R, in), weight (out, in), bias (out); all of one compute type unless said.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace tarflow::kernels {

// rows weight^T + bias, (R, out)
at::Tensor linear(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias);
// rows weight^T, (R, out)
at::Tensor product(const at::Tensor& rows, const at::Tensor& weight);

// h (R, out) fp32 += rows weight^T. In bf16 on a GPU the product is added without being rounded to
// bf16.
void add_product(const at::Tensor& h, const at::Tensor& rows, const at::Tensor& weight);

// GELU(rows weight^T + bias), (R, out). The form is that of the error function, except in bf16 on a
// GPU: there cuBLAS applies the form of tanh to its fp32 sums. Over normal sums of deviation 0.3 to
// 4 that is nearer to the error function of the exact sums (rms 2.7e-4 to 4.7e-3) than the error
// function of sums rounded to bf16 (4.2e-4 to 5.0e-3).
at::Tensor linear_gelu(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias);

// relu(rows weight^T + bias), (R, out)
at::Tensor linear_relu(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias);

// Copies each tensor of `from` into the one of `to` in the same place, in few launches. The tensors
// are of one type.
void copy_all(const std::vector<at::Tensor>& to, const std::vector<at::Tensor>& from);

}  // namespace tarflow::kernels
