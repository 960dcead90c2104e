// The flow from images to latents, its log-likelihood and the gradient of that (method.md sections
// 1 and 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "framework/model/weights.h"

namespace tarflow {

// Labels of a batch: empty means none (the mean over classes); -1 means the same for one image.
using Labels = std::vector<int64_t>;

// Class embeddings of a block for N images, (N, 1, C) fp32, or (1, 1, C) when no label is given;
// undefined for unconditional models. Throws Error on a label outside -1..classes-1, and on labels
// for an unconditional model.
at::Tensor class_embedding(const Model& model, const BlockWeights& block, const Labels& labels);

// One transformer layer on the whole sequence, differentiable. h: (N, T, C) fp32 residual stream ->
// the same.
at::Tensor layer_forward(const Model& model, const LayerWeights& layer, const at::Tensor& h);

// The block's outputs for inputs x (N, T, D) in the block's token order, before the shift: (N, T,
// 2D) fp32, xa in the first D features, xc in the last D. Differentiable in x.
at::Tensor block_outputs(const Model& model, const BlockWeights& block, const at::Tensor& x,
                         const Labels& labels);

// The same in the compute type.
at::Tensor computed_outputs(const Model& model, const BlockWeights& block, const at::Tensor& x,
                            const Labels& labels);

// outputs (N, T, 2D) moved one token right, zeros at token 0; a = first D, g = last D features.
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

// x in image token order to the block's, and back (its own inverse).
at::Tensor to_block_order(const BlockWeights& block, const at::Tensor& tokens);

struct Forward {
  at::Tensor z;       // (N, T, D)
  at::Tensor logdet;  // (N)
};
// images: (N, 3, H, H) in [-1, 1]; (N, 1, H, H) of grey models, here and below.
Forward forward(const Model& model, const at::Tensor& images, const Labels& labels);

// Each sample's loss 0.5 mean(z^2) - logdet, (N). `var` is not used in it.
at::Tensor sample_loss(const Forward& result);

// d loss_i / d image_i for each sample's own loss, (N, 3, H, H). Recomputed block by block: memory
// of one block's activations.
at::Tensor loss_gradient(const Model& model, const at::Tensor& images, const Labels& labels);

// Self-denoising: images - lr * colours H^2 * epsilon^2 * gradient; one gradient serves every lr.
at::Tensor self_denoise(const Model& model, const at::Tensor& images, const at::Tensor& gradient,
                        double lr);

}  // namespace tarflow
