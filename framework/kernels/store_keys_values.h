// Keys and values of new tokens, from the qkv layer's output to the cache (method.md section 1).
#pragma once

#include <ATen/core/Tensor.h>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

struct KeysValues {
  at::Tensor qkv;           // (B, n, 3, heads, 64)
  at::Tensor keys, values;  // (B, heads, T, 64): tokens place .. place + n - 1 are written
  Position place;
  // (N) int32 or undefined, B = N or 2N: the cache of a raised image stays as it is.
  at::Tensor stopped;
};

void store_keys_values(const KeysValues& work);
void store_keys_values_cpu(const KeysValues& work);
void store_keys_values_cuda(const KeysValues& work);

}  // namespace tarflow::kernels
