// Attention of a single step: one new token a sequence over the cache, to which it is added
// (method.md section 1). Bounded by reading the cache once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

struct DecodeAttention {
  at::Tensor qkv;           // (B, 3, heads, 64) of token `place`
  at::Tensor keys, values;  // (B, heads, T, 64): tokens before `place` are read, `place` is written
  Position place;
  int64_t images = 0;      // N: rows from here on are unconditional
  double query_scale = 1;  // of the unconditional rows' queries; all are scaled by 1/8 as well
  at::Tensor stopped;      // (N) int32 or undefined: the cache of a raised image stays as it is
  at::Tensor out;          // (B, heads, 64)
};

void decode_attention(const DecodeAttention& work);
void decode_attention_cpu(const DecodeAttention& work);
void decode_attention_cuda(const DecodeAttention& work);

}  // namespace tarflow::kernels
