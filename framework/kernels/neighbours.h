// What a linear model of a block's outputs reads: the finished neighbours of a token
// (docs/method.md section 7).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

// (N, last - first, 4D): x_{t-1} | x_{t-S} | x_{t-S+1} | x_{t-S-1} of tokens t in [first, last) of
// x (N, T, D) in the block's token order; tokens before the first are zeros. S: tokens per row of
// the image. first >= 1.
at::Tensor neighbours_of(const at::Tensor& x, int64_t first, int64_t last, int64_t row);

}  // namespace tarflow::kernels
