// Attention of a single step: one new token per sequence over the cache (method.md section 1). The
// key and value of the new token are stored in the cache. Reading the cache once takes most of the
// time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

struct DecodeAttention {
  at::Tensor qkv;           // (B, 3, heads, 64): query, key and value of token `place`
  at::Tensor keys, values;  // (B, heads, T, 64): tokens before `place` are read, `place` is written
  Position place;
  int64_t images = 0;      // N: rows 0 .. N - 1 are conditional, the rows after them unconditional
  double query_scale = 1;  // factor of unconditional queries; all queries are scaled by 1/8 as well
  at::Tensor stopped;  // (N) int32 or undefined: a raised flag keeps the image's cache unchanged
  at::Tensor out;      // (B, heads, 64)
};

// Bytes of scratch that a GPU needs for `pairs` sequences and heads, at most. The number of splits
// grows with the number of processors: no GPU has more than kMostProcessors.
inline constexpr int64_t kMostProcessors = 160, kSplitsPerProcessor = 8;
inline constexpr int64_t most_decode_scratch(int64_t pairs) {
  constexpr int64_t kBytesPerSplit = (64 + 2) * 4;
  return (kSplitsPerProcessor * kMostProcessors + pairs) * kBytesPerSplit;
}

void decode_attention(const DecodeAttention& work);
void decode_attention_cpu(const DecodeAttention& work);
void decode_attention_cuda(const DecodeAttention& work);

}  // namespace tarflow::kernels
