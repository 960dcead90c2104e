// The linear layers of a block (method.md section 1). Only this room's linear.cc calls LibTorch's
// private operators for matrix products.
//
// Shapes: rows (R, in), weight (out, in), bias (out). All have one compute type unless a comment
// states another.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace tarflow::kernels {

// rows weight^T + bias, (R, out)
at::Tensor linear(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias);
// rows weight^T, (R, out)
at::Tensor product(const at::Tensor& rows, const at::Tensor& weight);

// The same into `out` (R, out).
void product_into(at::Tensor out, const at::Tensor& rows, const at::Tensor& weight);

// h (R, out) fp32 += rows weight^T. On a GPU a bf16 product is added without a rounding to bf16.
void add_product(const at::Tensor& h, const at::Tensor& rows, const at::Tensor& weight);

// GELU(rows weight^T + bias), (R, out), with the error function. In bf16 on a GPU cuBLAS applies
// the tanh form of GELU to its fp32 sums instead. For normal sums of deviation 0.3 to 4 the tanh
// form has the smaller error against the exact GELU: rms 2.7e-4 to 4.7e-3. The error function of
// sums that were rounded to bf16 has 4.2e-4 to 5.0e-3.
at::Tensor linear_gelu(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias);

// relu(rows weight^T + bias), (R, out)
at::Tensor linear_relu(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias);

// Copies from[i] into to[i] for every i, in few kernel launches. All tensors of a list have one
// type.
void copy_all(const std::vector<at::Tensor>& to, const std::vector<at::Tensor>& from);
// The same, but adds from[i] to to[i].
void add_all(const std::vector<at::Tensor>& to, const std::vector<at::Tensor>& from);

}  // namespace tarflow::kernels
