// A block's input side: tokens in the compute type before proj_in, and what is added after it
// (method.md section 1).
#pragma once

#include <ATen/core/Tensor.h>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

// tokens (N, n, W) = tokens place .. place + n - 1 of x (N, T, D) fp32 in the type of `tokens`; W
// >= D, and what is beyond D becomes zero.
void take_tokens(const at::Tensor& x, const Position& place, const at::Tensor& tokens);
void take_tokens_cpu(const at::Tensor& x, const Position& place, const at::Tensor& tokens);
void take_tokens_cuda(const at::Tensor& x, const Position& place, const at::Tensor& tokens);

struct Embed {
  at::Tensor projected;  // (N, n, C) compute type
  at::Tensor positions;  // (T, C) fp32
  at::Tensor classes;    // (B, C) fp32, B = N or 2N
  Position place;        // of the first token
  at::Tensor h;          // (B, n, C) fp32: projected of image b % N + position + class of b
};
void embed(const Embed& work);
void embed_cpu(const Embed& work);
void embed_cuda(const Embed& work);

}  // namespace tarflow::kernels
