#include "framework/kernels/store_keys_values.h"

#include <ATen/ATen.h>

namespace tarflow::kernels {

void store_keys_values_cpu(const KeysValues& work) {
  if (raised(work.stopped)) return;
  const int64_t first = work.place.token(), last = first + work.qkv.size(1);
  const at::Tensor parts = work.qkv.permute({2, 0, 3, 1, 4});  // (3, B, heads, n, 64)
  work.keys.slice(2, first, last).copy_(parts[1]);
  work.values.slice(2, first, last).copy_(parts[2]);
}

#ifndef TARFLOW_USE_CUDA
void store_keys_values_cuda(const KeysValues&) { no_cuda_kernels(); }
#endif

void store_keys_values(const KeysValues& work) {
  return work.qkv.is_cpu() ? store_keys_values_cpu(work) : store_keys_values_cuda(work);
}

}  // namespace tarflow::kernels
