// LayerNorm of the residual stream (method.md section 1).
#pragma once

#include <ATen/core/Tensor.h>

namespace tarflow::kernels {

// h (..., C) fp32, weight and bias (C) fp32 -> (..., C) fp32, eps 1e-5.
//
// A row without a finite variance (Inf, NaN, or values whose squares overflow) gives the bias,
// which is the limit of an infinite variance. So every token has finite keys and values. Attention
// multiplies the values of masked tokens by zero: a NaN among them would reach the tokens before
// it. The residual stream keeps the row unchanged, so the outputs of that token are not finite.
at::Tensor layer_norm(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace tarflow::kernels
