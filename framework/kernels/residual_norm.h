// The residual stream between two linear layers: LayerNorm of the sum of the stream, what a layer
// gave and biases that are pending makes the next layer's input (method.md section 1).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

struct ResidualNorm {
  at::Tensor h;             // (rows, C) fp32
  at::Tensor added;         // (rows, C) compute type, or undefined
  at::Tensor shift;         // (C) fp32, or undefined: sum = h + added + shift
  bool store = false;       // h becomes the sum
  at::Tensor weight, bias;  // (C) fp32; undefined: out = sum
  // (rows, C) compute type: LayerNorm(sum) in fp32, eps 1e-5, then cast. As in layer_norm.h, a row
  // without a finite variance gives the bias.
  at::Tensor out;
};

inline constexpr int64_t kMostNormChannels = 4096;  // a warp or block of the CUDA twin holds a row

void residual_norm(const ResidualNorm& work);
void residual_norm_cpu(const ResidualNorm& work);
void residual_norm_cuda(const ResidualNorm& work);

}  // namespace tarflow::kernels
