// What the qkv layer gave, to its places: keys and values into the cache, queries scaled where a
// guidance pass has its own temperature (method.md section 2 "Guidance").
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

struct SplitQkv {
  at::Tensor qkv;  // (B, n, 3, heads, 64); its queries are scaled in place
  at::Tensor keys,
      values;  // (B, heads, T, 64); tokens place .. place + n - 1 are written, if defined
  Position place;
  int64_t images = 0;      // N: rows from here on are unconditional
  double query_scale = 1;  // of the unconditional rows' queries
  at::Tensor stopped;      // (N) int32 or undefined: the cache of a raised image stays as it is
};

void split_qkv(const SplitQkv& work);
void split_qkv_cpu(const SplitQkv& work);
void split_qkv_cuda(const SplitQkv& work);

}  // namespace tarflow::kernels
