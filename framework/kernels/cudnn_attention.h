// Attention by cuDNN's graphs, for a prefix whose length only the device knows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

// softmax(scale q k^T) v of bf16 tensors on a GPU, (B, n, heads, 64). query (B, n, heads, 64), keys
// and values (B, m, heads, 64), maybe strided. Only the first query_length (B) queries and the first
// key_length (B) keys of a row count, int32 beside the operands; the output of other queries means
// nothing. Causal from the lower right corner: query i sees keys 0 .. key_length - query_length + i.
//
// cuDNN plans once for the shapes, strides and scale, which takes some tens of milliseconds. Throws
// Error where cuDNN has no plan for the device.
struct CudnnAttention {
  at::Tensor query, keys, values;
  at::Tensor query_length, key_length;
  double scale = 0.125;
};
at::Tensor cudnn_attention(const CudnnAttention& work);

}  // namespace tarflow::kernels
