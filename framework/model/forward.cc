#include "framework/model/forward.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include "framework/core/error.h"
#include "framework/model/patchify.h"
#include "framework/tensor/device.h"

namespace tarflow {
namespace {

// LayerNorm in fp32 (eps 1e-5). The result is cast to the compute type.
at::Tensor layer_norm(const Model& model, const at::Tensor& h, const at::Tensor& weight,
                      const at::Tensor& bias) {
  return at::layer_norm(h, {h.size(-1)}, weight, bias, 1e-5).to(model.dtype());
}

void require_labels(const Model& model, const Labels& labels) {
  if (labels.empty()) return;
  if (model.shape.classes == 0) throw Error("labels were given to an unconditional model");
  for (const int64_t label : labels) {
    if (label < -1 || label >= model.shape.classes) {
      throw Error(fmt::format("label {} is outside 0..{}", label, model.shape.classes - 1),
                  "-1 stands for the mean over classes");
    }
  }
}

}  // namespace

at::Tensor class_embedding(const Model& model, const BlockWeights& block, const Labels& labels) {
  require_labels(model, labels);
  if (!block.class_embed.defined()) return {};
  if (labels.empty()) return block.class_mean.view({1, 1, -1});
  // Row `classes` of the table is the mean. Label -1 selects it.
  const at::Tensor table = at::cat({block.class_embed, block.class_mean.unsqueeze(0)});
  at::Tensor index = at::tensor(labels, at::kLong);
  index = index.masked_fill(index.lt(0), model.shape.classes).to(model.device);
  return table.index_select(0, index).unsqueeze(1);
}

at::Tensor attended(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values) {
  return at::scaled_dot_product_attention(queries, keys, values, {}, 0.0, /*is_causal=*/true)
      .transpose(1, 2)
      .reshape({queries.size(0), queries.size(2), -1});
}

at::Tensor layer_forward(const Model& model, const LayerWeights& layer, const at::Tensor& h) {
  const int64_t n = h.size(0), t = h.size(1), heads = model.shape.heads();
  at::Tensor y = layer_norm(model, h, layer.attention_norm_weight, layer.attention_norm_bias);
  const at::Tensor qkv = at::linear(y, layer.qkv_weight, layer.qkv_bias)
                             .view({n, t, 3, heads, kHeadWidth})
                             .permute({2, 0, 3, 1, 4});
  // One gradient for the three, stacked; those of qkv[i] would each fill a whole with zeros.
  const std::vector<at::Tensor> parts = qkv.unbind(0);
  y = at::linear(attended(parts[0], parts[1], parts[2]), layer.proj_weight, layer.proj_bias);
  at::Tensor out = h + y;
  y = layer_norm(model, out, layer.mlp_norm_weight, layer.mlp_norm_bias);
  y = at::gelu(at::linear(y, layer.up_weight, layer.up_bias));
  return out + at::linear(y, layer.down_weight, layer.down_bias);
}

at::Tensor embedded(const Model& model, const BlockWeights& block, const at::Tensor& x,
                    const Labels& labels) {
  const at::Tensor h =
      at::linear(x.to(model.dtype()), block.proj_in_weight, block.proj_in_bias) + block.position;
  const at::Tensor classes = class_embedding(model, block, labels);
  return classes.defined() ? h + classes : h;
}

at::Tensor computed_outputs(const Model& model, const BlockWeights& block, const at::Tensor& x,
                            const Labels& labels) {
  at::Tensor h = embedded(model, block, x, labels);
  for (const LayerWeights& layer : block.layers) h = layer_forward(model, layer, h);
  return at::linear(h.to(model.dtype()), block.proj_out_weight, block.proj_out_bias);
}

at::Tensor block_outputs(const Model& model, const BlockWeights& block, const at::Tensor& x,
                         const Labels& labels) {
  return computed_outputs(model, block, x, labels).to(at::kFloat);
}

Shifted shift_outputs(const at::Tensor& outputs) {
  const int64_t t = outputs.size(1), d = outputs.size(2) / 2;
  const at::Tensor moved = at::constant_pad_nd(outputs.slice(1, 0, t - 1), {0, 0, 1, 0}, 0);
  return {moved.slice(2, 0, d), moved.slice(2, d, 2 * d)};
}

BlockForward block_forward(const Model& model, const BlockWeights& block, const at::Tensor& x,
                           const Labels& labels) {
  const Shifted shifted = shift_outputs(block_outputs(model, block, x, labels));
  return {at::exp(-shifted.a) * (x - shifted.g), -shifted.a.mean(at::IntArrayRef{1, 2}), shifted};
}

at::Tensor to_block_order(const BlockWeights& block, const at::Tensor& tokens) {
  return block.reversed ? tokens.flip(1) : tokens;
}

Forward forward(const Model& model, const at::Tensor& images, const Labels& labels) {
  at::Tensor x = patchify(images, model.shape.patch_size);
  at::Tensor logdet = at::zeros({images.size(0)}, images.options());
  for (const BlockWeights& block : model.blocks) {
    const BlockForward result = block_forward(model, block, to_block_order(block, x), labels);
    x = to_block_order(block, result.z);
    logdet = logdet + result.logdet;
  }
  return {x, logdet};
}

at::Tensor sample_loss(const Forward& result) {
  return 0.5 * result.z.square().mean(at::IntArrayRef{1, 2}) - result.logdet;
}

at::Tensor loss_gradient(const Model& model, const at::Tensor& images, const Labels& labels) {
  const RepeatableKernels repeatable;
  std::vector<at::Tensor> inputs;  // of each block, in the block's token order
  at::Tensor x = patchify(images, model.shape.patch_size);
  {
    c10::NoGradGuard no_grad;
    for (const BlockWeights& block : model.blocks) {
      inputs.push_back(to_block_order(block, x).contiguous());
      x = to_block_order(block, block_forward(model, block, inputs.back(), labels).z);
    }
  }
  // loss = 0.5 mean(z^2) - sum of logdets: dloss/dz = z / (T D), dloss/dlogdet = -1.
  at::Tensor gradient = x / static_cast<double>(x.size(1) * x.size(2));
  for (size_t b = model.blocks.size(); b-- > 0;) {
    const BlockWeights& block = model.blocks[b];
    const at::Tensor input = inputs[b].detach().requires_grad_(true);
    inputs[b].reset();
    c10::AutoGradMode with_grad(true);
    const BlockForward result = block_forward(model, block, input, labels);
    const at::Tensor minus_one = at::full_like(result.logdet, -1.0);
    gradient = torch::autograd::grad({result.z, result.logdet}, {input},
                                     {to_block_order(block, gradient).contiguous(), minus_one})[0];
    gradient = to_block_order(block, gradient);
  }
  return unpatchify(gradient, model.shape.patch_size);
}

at::Tensor self_denoise(const Model& model, const at::Tensor& images, const at::Tensor& gradient,
                        double lr) {
  const double side = model.shape.image_size;
  return images - gradient * (lr * model.shape.colours * side * side * model.shape.noise_std *
                              model.shape.noise_std);
}

}  // namespace tarflow
