#include "framework/kernels/split_qkv.h"

#include <ATen/ATen.h>

namespace tarflow::kernels {

void split_qkv_cpu(const SplitQkv& work) {
  const int64_t first = work.place.token(), n = work.qkv.size(1);
  const at::Tensor parts = work.qkv.permute({2, 0, 3, 1, 4});  // (3, B, heads, n, 64)
  for (int64_t row = 0; work.keys.defined() && row < parts.size(1); ++row) {
    if (raised(work.stopped, row % work.images)) continue;
    work.keys[row].slice(1, first, first + n).copy_(parts[1][row]);
    work.values[row].slice(1, first, first + n).copy_(parts[2][row]);
  }
  if (work.query_scale != 1) parts[0].slice(0, work.images).mul_(work.query_scale);
}

#ifndef TARFLOW_USE_CUDA
void split_qkv_cuda(const SplitQkv&) { no_cuda_kernels(); }
#endif

void split_qkv(const SplitQkv& work) {
  return work.qkv.is_cpu() ? split_qkv_cpu(work) : split_qkv_cuda(work);
}

}  // namespace tarflow::kernels
