// Convolutions of a feature extractor. Only this room's convolution.cc calls cuDNN's convolutions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace tarflow::kernels {

struct Convolution {
  at::Tensor weight;                     // (out, in, height, width)
  at::Tensor bias;                       // (out)
  std::vector<int64_t> stride, padding;  // vertical, horizontal
};

// weight * x + bias. x: (N, in, H, W) -> (N, out, H', W'). All tensors have one type. A kernel of
// one pixel is computed as a matrix product.
at::Tensor convolution(const at::Tensor& x, const Convolution& layer);

// relu(weight * x + bias). If `fused` is set, x must be on a GPU, and one operation of cuDNN
// computes all three steps. Not every version of cuDNN has it for every GPU and type: throws
// c10::Error then.
at::Tensor convolution_relu(const at::Tensor& x, const Convolution& layer, bool fused);

}  // namespace tarflow::kernels
