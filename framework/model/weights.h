// A TarFlow model's weights on a device, held once in the compute type (method.md section 1).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <type_traits>
#include <vector>

#include "framework/checkpoint/checkpoint.h"
#include "framework/core/shape.h"
#include "framework/tensor/device.h"

namespace tarflow {

// Symbols: T tokens, D token width, C channels. Linear weights are (out, in), as in the checkpoint.
struct LayerWeights {
  at::Tensor attention_norm_weight, attention_norm_bias;  // (C) fp32
  at::Tensor qkv_weight, qkv_bias;                        // (3C, C), (3C) compute type
  at::Tensor proj_weight, proj_bias;                      // (C, C), (C)
  at::Tensor mlp_norm_weight, mlp_norm_bias;              // (C) fp32
  at::Tensor up_weight, up_bias;                          // (4C, C), (4C)
  at::Tensor down_weight, down_bias;                      // (C, 4C), (C)
};

struct BlockWeights {
  bool reversed = false;                    // odd blocks read the tokens in reversed order
  at::Tensor proj_in_weight, proj_in_bias;  // (C, D), (C)
  at::Tensor position;                      // (T, C) fp32, already in the block's token order
  at::Tensor class_embed;                   // (classes, C) fp32; undefined in unconditional models
  at::Tensor class_mean;  // (C) fp32 mean over classes; zeros in unconditional models
  // (2D, C), (2D): first D rows xa, last D rows xc. In volume-preserving models, whose files have
  // the last D rows alone, the first are zero: then xa is zero whatever computes it.
  at::Tensor proj_out_weight, proj_out_bias;
  std::vector<LayerWeights> layers;
};

// The use of a tensor. It decides the tensor's type on the device.
enum class WeightKind {
  kLinear,  // a linear layer: compute type
  kStream,  // LayerNorm or the residual stream: fp32
  kClass    // embeddings of the classes, which are added to the stream: fp32
};

// Calls visit(name, tensor, kind) for every tensor of a block that a checkpoint has. `name` is the
// name in the checkpoint without `blocks.{b}.`. Block is BlockWeights or const BlockWeights. Its
// `layers` must have one entry per layer. class_embed is visited in unconditional models too.
template <typename Block, typename Visit>
void for_each_tensor(Block& block, const Visit& visit) {
  static_assert(std::is_same_v<std::remove_const_t<Block>, BlockWeights>);
  const auto pair = [&](const std::string& name, auto& weight, auto& bias, WeightKind kind) {
    visit(name + ".weight", weight, kind);
    visit(name + ".bias", bias, kind);
  };
  using enum WeightKind;
  visit(std::string("pos_embed"), block.position, kStream);
  visit(std::string("class_embed"), block.class_embed, kClass);
  pair("proj_in", block.proj_in_weight, block.proj_in_bias, kLinear);
  for (size_t l = 0; l < block.layers.size(); ++l) {
    auto& w = block.layers[l];
    const std::string layer = "attn_blocks." + std::to_string(l) + ".";
    pair(layer + "attention.norm", w.attention_norm_weight, w.attention_norm_bias, kStream);
    pair(layer + "attention.qkv", w.qkv_weight, w.qkv_bias, kLinear);
    pair(layer + "attention.proj", w.proj_weight, w.proj_bias, kLinear);
    pair(layer + "mlp.norm", w.mlp_norm_weight, w.mlp_norm_bias, kStream);
    pair(layer + "mlp.main.0", w.up_weight, w.up_bias, kLinear);
    pair(layer + "mlp.main.2", w.down_weight, w.down_bias, kLinear);
  }
  pair("proj_out", block.proj_out_weight, block.proj_out_bias, kLinear);
}

struct Model {
  ModelShape shape;
  at::Device device = at::kCPU;
  ComputeType compute = ComputeType::kFloat32;
  at::Tensor prior_std;  // (T, D) fp32, square root of `var`, in image token order
  std::vector<BlockWeights> blocks;

  at::ScalarType dtype() const { return scalar_type(compute); }
};

// Checks the file's tensors against `shape` and copies them to the device. bf16 weights are
// converted to fp32 before any arithmetic. Throws Error that lists missing, unexpected and
// misshaped tensors. Throws Error that lists tensors with NaN, infinite values or values too large
// for the compute type, and a negative `var`, each with the number of such values.
Model load_model(const checkpoint::Checkpoint& file, const ModelShape& shape,
                 const at::Device& device, ComputeType compute);

// A model without a file. Its weights are those of an untrained checkpoint of this shape and seed
// (checkpoint/untrained.h). Throws Error for an impossible shape.
Model random_weights(const ModelShape& shape, uint64_t seed, const at::Device& device,
                     ComputeType compute);
// The same model in another compute type. Weights that were rounded before stay rounded. Throws
// Error that lists tensors with values too large for the type.
Model converted(const Model& model, ComputeType compute);

// Bytes that the weights of a model of this shape take on its device.
int64_t weight_bytes(const ModelShape& shape, ComputeType compute);

}  // namespace tarflow
