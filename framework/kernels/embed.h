// The input of a block (method.md section 1): tokens in the compute type for proj_in, and the sum
// of the projected tokens, positions and classes.
#pragma once

#include <ATen/core/Tensor.h>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

// Copies tokens place .. place + n - 1 of x (N, T, D) fp32 into `tokens` (N, n, W), in the type of
// `tokens`. W is at least D. Columns from D on become zero.
void take_tokens(const at::Tensor& x, const Position& place, const at::Tensor& tokens);
void take_tokens_cpu(const at::Tensor& x, const Position& place, const at::Tensor& tokens);
void take_tokens_cuda(const at::Tensor& x, const Position& place, const at::Tensor& tokens);

struct Embed {
  at::Tensor projected;  // (N, n, C) compute type
  at::Tensor positions;  // (T, C) fp32
  at::Tensor classes;    // (B, C) fp32, B = N or 2N
  Position place;        // of the first token
  at::Tensor h;          // (B, n, C) fp32: row b is projected[b % N] + positions + classes[b]
};
void embed(const Embed& work);
void embed_cpu(const Embed& work);
void embed_cuda(const Embed& work);

}  // namespace tarflow::kernels
