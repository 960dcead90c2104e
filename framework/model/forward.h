// The flow from images to latents, its log-likelihood and the gradient of the log-likelihood
// (method.md sections 1 and 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "framework/model/weights.h"

namespace tarflow {

// Labels of a batch. No labels, or the label -1 of an image, stand for the mean over classes.
using Labels = std::vector<int64_t>;

// Class embeddings of a block for N images: (N, 1, C) fp32, or (1, 1, C) without labels. Undefined
// for unconditional models. Throws Error for a label outside -1..classes-1 and for labels of an
// unconditional model.
at::Tensor class_embedding(const Model& model, const BlockWeights& block, const Labels& labels);

// Causal attention of queries, keys and values (N, heads, T, 64): (N, T, C). Differentiable.
at::Tensor attended(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values);

// One transformer layer on the whole sequence; differentiable. h: the residual stream (N, T, C)
// fp32 before the layer. Returns the stream after the layer.
at::Tensor layer_forward(const Model& model, const LayerWeights& layer, const at::Tensor& h);

// The residual stream (N, T, C) fp32 before the first layer, for inputs x (N, T, D).
// Differentiable.
at::Tensor embedded(const Model& model, const BlockWeights& block, const at::Tensor& x,
                    const Labels& labels);

// The block's outputs for inputs x (N, T, D) in the block's token order, before the shift: (N, T,
// 2D) fp32, xa in the first D features, xc in the last D. Differentiable in x.
at::Tensor block_outputs(const Model& model, const BlockWeights& block, const at::Tensor& x,
                         const Labels& labels);

// The same in the compute type.
at::Tensor computed_outputs(const Model& model, const BlockWeights& block, const at::Tensor& x,
                            const Labels& labels);

// Moves outputs (N, T, 2D) one token to the right; token 0 becomes zero. a: the first D features,
// g: the last D.
struct Shifted {
  at::Tensor a, g;  // (N, T, D) fp32
};
Shifted shift_outputs(const at::Tensor& outputs);

struct BlockForward {
  at::Tensor z;       // (N, T, D) in the block's token order
  at::Tensor logdet;  // (N), -mean over (T, D) of xa
  Shifted shifted;
};
BlockForward block_forward(const Model& model, const BlockWeights& block, const at::Tensor& x,
                           const Labels& labels);

// Converts tokens from the image's order to the block's, or back: the function is its own inverse.
at::Tensor to_block_order(const BlockWeights& block, const at::Tensor& tokens);

struct Forward {
  at::Tensor z;       // (N, T, D)
  at::Tensor logdet;  // (N)
};
// images: (N, 3, H, H) in [-1, 1]; (N, 1, H, H) of grey models, here and below.
Forward forward(const Model& model, const at::Tensor& images, const Labels& labels);

// The loss 0.5 mean(z^2) - logdet of each sample, (N). It does not use `var`.
at::Tensor sample_loss(const Forward& result);

// d loss_i / d image_i of each sample's own loss, (N, 3, H, H). Each block is computed again for
// its derivative, so memory holds the activations of one block.
at::Tensor loss_gradient(const Model& model, const at::Tensor& images, const Labels& labels);

// Self-denoising: images - lr * colours H^2 * epsilon^2 * gradient. One gradient serves every lr.
at::Tensor self_denoise(const Model& model, const at::Tensor& images, const at::Tensor& gradient,
                        double lr);

}  // namespace tarflow
