// Copies the keys and values of new tokens from the output of the qkv layer to the cache (method.md
// section 1).
#pragma once

#include <ATen/core/Tensor.h>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

struct KeysValues {
  at::Tensor qkv;           // (B, n, 3, heads, 64)
  at::Tensor keys, values;  // (B, heads, T, 64): tokens place .. place + n - 1 are written
  Position place;
  // (N) int32 or undefined, where B = N or 2N. A raised flag keeps the image's cache unchanged.
  at::Tensor stopped;
};

void store_keys_values(const KeysValues& work);

// The keys and values of raised images become zeros: cache (L, 2, B, heads, T, 64), raised (N) int32,
// B = N or 2N. Attention may multiply what lies beyond a prefix by 0, so it must be finite.
void clear_keys_values(const at::Tensor& cache, const at::Tensor& raised);
void clear_keys_values_cuda(const at::Tensor& cache, const at::Tensor& raised);
void store_keys_values_cpu(const KeysValues& work);
void store_keys_values_cuda(const KeysValues& work);

}  // namespace tarflow::kernels
