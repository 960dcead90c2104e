// A block's outputs for training with fewer passes over memory than computed_outputs()
// (framework/model/forward.h): what stands between two matrix products is one kernel each way.
#pragma once

#include <ATen/core/Tensor.h>

#include "framework/model/forward.h"

namespace tarflow::training {

// What training computes the layers of a block with.
enum class LayerKernels {
  kComposed,  // computed_outputs(): one operator of LibTorch after another
  kFused      // fused_outputs()
};

// As computed_outputs(), differentiable in x and the weights. Every value is rounded where
// computed_outputs() rounds it: on a CPU outputs and gradients have the same bits; on a GPU fp32
// sums within LayerNorm, of its weights' gradients and of gradients of biases have another order.
at::Tensor fused_outputs(const Model& model, const BlockWeights& block, const at::Tensor& x,
                         const Labels& labels);

// The parts of it, for tests. Differentiable in all tensors.
struct NormedStream {
  at::Tensor h;  // the stream, with `added`
  at::Tensor y;  // LayerNorm of it in `type`
};
// added: undefined, or the output of a linear layer with the bias `added_bias`, computed with
// added_bias.detach(): the gradient of that bias comes from here.
NormedStream add_and_norm(const at::Tensor& h, const at::Tensor& added,
                          const at::Tensor& added_bias, const at::Tensor& weight,
                          const at::Tensor& bias, at::ScalarType type);
// Queries, keys and values (N, heads, T, 64), views of qkv (N, T, 3C), likewise the output of a
// linear layer.
struct Heads {
  at::Tensor queries, keys, values;
};
Heads heads_of(const at::Tensor& qkv, const at::Tensor& qkv_bias);
// GELU of `inputs`, likewise the output of a linear layer.
at::Tensor gelu_of_linear(const at::Tensor& inputs, const at::Tensor& linear_bias);
// h + added in the type of `added`, likewise the output of a linear layer.
at::Tensor add_and_cast(const at::Tensor& h, const at::Tensor& added, const at::Tensor& added_bias);

}  // namespace tarflow::training
