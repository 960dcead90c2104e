// Attention of several new tokens over the tokens before them (method.md section 1). This file and
// its source are the only ones that name cuDNN and LibTorch's private attention operators.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

struct Attention {
  at::Tensor query;         // (B, n, heads, 64), may be strided
  at::Tensor keys, values;  // (B, m, heads, 64), m >= n, may be strided
  int64_t images = 0;       // N: rows from here on are unconditional
  double query_scale = 1;   // of the unconditional rows' scores; all are scaled by 1/8 as well
};

// softmax(scale q k^T) v, (B, n, heads, 64), maybe strided: of the query's type. Causal from the
// lower right corner: query i sees keys 0 .. m - n + i. Scores are scaled in fp32, so that queries
// are rounded once.
at::Tensor attention(const Attention& work);

}  // namespace tarflow::kernels
