// The gradients of queries, keys and values in training, side by side as the linear layer that made
// them has its outputs, and the gradient of its bias, in one pass.
#pragma once

#include <ATen/core/Tensor.h>

namespace tarflow::kernels {

struct QkvParts {
  at::Tensor queries, keys, values;  // (rows, C) gradients
};
struct QkvGradient {
  at::Tensor qkv;   // (rows, 3C): queries | keys | values
  at::Tensor bias;  // (3C): the sum over the rows, in fp32, rounded once
};
// All have one type; rows: all other dimensions. Contiguous; on a GPU float32 or bfloat16, aligned
// to 16 bytes, C a multiple of 16 bytes. On a CPU the sum has the bits of LibTorch's; on a GPU it
// has another order, a fixed one: the same build on the same device gives the same bits.
QkvGradient qkv_gradient(const QkvParts& parts);
QkvGradient qkv_gradient_cpu(const QkvParts& parts);
QkvGradient qkv_gradient_cuda(const QkvParts& parts);

}  // namespace tarflow::kernels
