// The residual stream between two linear layers (method.md section 1). The output of a layer and
// pending biases are added to the stream. LayerNorm of the sum is the input of the next layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

struct ResidualNorm {
  at::Tensor h;             // (rows, C) fp32
  at::Tensor added;         // (rows, C) compute type, or undefined
  at::Tensor shift;         // (C) fp32, or undefined: sum = h + added + shift
  bool store = false;       // whether h becomes the sum
  at::Tensor weight, bias;  // (C) fp32; undefined: no LayerNorm, out = sum
  // (rows, C) compute type: LayerNorm(sum) in fp32, eps 1e-5, then cast. As in layer_norm.h, a row
  // without a finite variance gives the bias.
  at::Tensor out;
};

inline constexpr int64_t kMostNormChannels = 4096;  // a warp or block on a GPU holds a whole row

void residual_norm(const ResidualNorm& work);
void residual_norm_cpu(const ResidualNorm& work);
void residual_norm_cuda(const ResidualNorm& work);

}  // namespace tarflow::kernels
