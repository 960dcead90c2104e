// The residual stream between two linear layers: what one gave is added, and LayerNorm makes the
// next one's input of the sum (method.md section 1).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

struct ResidualNorm {
  at::Tensor h;             // (rows, C) fp32: h += added + added_bias
  at::Tensor added;         // (rows, C) compute type; undefined: nothing is added
  at::Tensor added_bias;    // (C) compute type, beside `added`
  at::Tensor weight, bias;  // (C) fp32; undefined: out = h
  at::Tensor out;           // (rows, C) compute type: LayerNorm(h) in fp32, eps 1e-5, then cast
};

inline constexpr int64_t kMostNormChannels = 4096;  // a warp of the CUDA twin holds a row

void residual_norm(const ResidualNorm& work);
void residual_norm_cpu(const ResidualNorm& work);
void residual_norm_cuda(const ResidualNorm& work);

}  // namespace tarflow::kernels
