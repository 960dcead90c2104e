// Attention of several new tokens over the tokens before them (method.md section 1). Only its
// source names LibTorch's private attention operators.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

struct Attention {
  at::Tensor query;         // (B, n, heads, 64), may be strided
  at::Tensor keys, values;  // (B, m, heads, 64), m >= n, may be strided
  int64_t images = 0;       // N: rows from here on are unconditional
  double query_scale = 1;   // of the unconditional rows' scores; all are scaled by 1/8 as well
  // (2, B) int32 beside the operands, or undefined: only so many queries and keys of a row count,
  // and the output of other queries means nothing. The same for all rows, as set_lengths() leaves
  // them; on a GPU the operands are bf16.
  at::Tensor lengths = {};
};

// Of `inputs` tokens from `place` on, over all tokens before them, in sequences of `tokens`: how
// many queries and how many keys there are, into lengths (2, B) int32.
void set_lengths(const Position& place, int64_t inputs, int64_t tokens, const at::Tensor& lengths);
void set_lengths_cuda(const Position& place, int64_t inputs, int64_t tokens,
                      const at::Tensor& lengths);

// softmax(scale q k^T) v, (B, n, heads, 64), maybe strided: of the query's type. Causal from the
// lower right corner: query i sees keys 0 .. m - n + i, or 0 .. lengths[1] - lengths[0] + i. Scores
// are scaled in fp32, so that queries are rounded once.
at::Tensor attention(const Attention& work);
// The same in parts along B, one for each scale: kernels take one scale per call.
std::vector<at::Tensor> attention_parts(const Attention& work);

}  // namespace tarflow::kernels
