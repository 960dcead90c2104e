#include "framework/kernels/qkv_gradient.h"

#include <ATen/ATen.h>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

QkvGradient qkv_gradient_cpu(const QkvParts& parts) {
  const at::Tensor qkv = at::cat({parts.queries, parts.keys, parts.values}, -1);
  return {qkv, qkv.reshape({-1, qkv.size(-1)}).sum(0)};
}

#ifndef TARFLOW_USE_CUDA
QkvGradient qkv_gradient_cuda(const QkvParts&) { no_cuda_kernels(); }
#endif

QkvGradient qkv_gradient(const QkvParts& parts) {
  return parts.queries.is_cpu() ? qkv_gradient_cpu(parts) : qkv_gradient_cuda(parts);
}

}  // namespace tarflow::kernels
