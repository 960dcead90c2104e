// The way back through the activation of the MLP in training: GELU with the error function, and the
// bias of the linear layer before it, in one pass.
#pragma once

#include <ATen/core/Tensor.h>

namespace tarflow::kernels {

struct GeluBackward {
  at::Tensor inputs;    // (rows, W): what GELU was taken of; the bias is in it
  at::Tensor gradient;  // (rows, W): of GELU's outputs
};
struct GeluGradients {
  at::Tensor inputs;  // (rows, W): gradient GELU'(inputs), computed in fp32 and rounded once
  at::Tensor bias;    // (W): the sum over the rows of the rounded values, in fp32, rounded once
};
// All have one type; rows: all other dimensions. Contiguous; on a GPU float32 or bfloat16, aligned
// to 16 bytes, W a multiple of 16 bytes. Roundings are those of LibTorch's gelu_backward and sum;
// on a CPU the bits are the same, on a GPU the sum has another order, a fixed one: the same build
// on the same device gives the same bits.
GeluGradients gelu_backward(const GeluBackward& work);
GeluGradients gelu_backward_cpu(const GeluBackward& work);
GeluGradients gelu_backward_cuda(const GeluBackward& work);

}  // namespace tarflow::kernels
