#include "framework/kernels/store_keys_values.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tarflow::kernels {

void store_keys_values_cpu(const KeysValues& work) {
  const int64_t first = work.place.token(),
                last = std::min(first + work.qkv.size(1), work.keys.size(2));
  // (3, B, heads, n, 64)
  const at::Tensor parts = work.qkv.slice(1, 0, last - first).permute({2, 0, 3, 1, 4});
  for (int64_t row = 0; row < work.qkv.size(0); ++row) {
    if (work.stopped.defined() && raised(work.stopped, row % work.stopped.size(0))) continue;
    work.keys[row].slice(1, first, last).copy_(parts[1][row]);
    work.values[row].slice(1, first, last).copy_(parts[2][row]);
  }
}

#ifndef TARFLOW_USE_CUDA
void store_keys_values_cuda(const KeysValues&) { no_cuda_kernels(); }
void clear_keys_values_cuda(const at::Tensor&, const at::Tensor&) { no_cuda_kernels(); }
#endif

void store_keys_values(const KeysValues& work) {
  return work.qkv.is_cpu() ? store_keys_values_cpu(work) : store_keys_values_cuda(work);
}

void clear_keys_values(const at::Tensor& cache, const at::Tensor& raised) {
  if (cache.is_cuda()) return clear_keys_values_cuda(cache, raised);
  for (int64_t row = 0; row < cache.size(2); ++row) {
    if (tarflow::kernels::raised(raised, row % raised.size(0))) cache.select(2, row).zero_();
  }
}

}  // namespace tarflow::kernels
