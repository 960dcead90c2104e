// Models with random weights, for tests that need no checkpoint.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>

#include "framework/model/weights.h"
#include "framework/tensor/noise.h"

namespace tarflow {

// Draws tensors of normal numbers one after another; the same for a seed on every machine.
class RandomTensors {
 public:
  explicit RandomTensors(uint64_t seed) : seed_(seed) {}

  at::Tensor normal(at::IntArrayRef sizes, double scale) {
    const int64_t elements = c10::multiply_integers(sizes);
    return normal_noise(seed_, next_++, 1, elements, 1, at::kCPU).reshape(sizes) * scale;
  }

 private:
  uint64_t seed_;
  int64_t next_ = 0;
};

// Standard normal noise (count, T, D) of images first .. first + count - 1.
inline at::Tensor noise_of(const ModelShape& shape, uint64_t seed, int64_t count,
                           const at::Device& device = at::kCPU, int64_t first = 0) {
  return normal_noise(seed, first, count, shape.tokens(), shape.token_width(), device);
}

// A model whose activations and outputs stay of order 1: linear weights ~ N(0, 1/in), outputs
// scaled by 0.1 so that every block is invertible without overflow. noise_std is the shape's.
inline Model random_model(const ModelShape& shape, uint64_t seed,
                          const at::Device& device = at::kCPU,
                          ComputeType compute = ComputeType::kFloat32) {
  RandomTensors random(seed);
  Model model{shape, device, compute, {}, {}};
  const int64_t t = shape.tokens(), d = shape.token_width(), c = shape.channels;
  const auto keep = [&](const at::Tensor& tensor) { return tensor.to(device, at::kFloat); };
  const auto cast = [&](const at::Tensor& tensor) { return tensor.to(device, model.dtype()); };
  const auto linear = [&](at::Tensor& weight, at::Tensor& bias, int64_t out, int64_t in,
                          double gain) {
    weight = cast(random.normal({out, in}, gain / std::sqrt(static_cast<double>(in))));
    bias = cast(random.normal({out}, 0.1 * gain));
  };
  const auto norm = [&](at::Tensor& weight, at::Tensor& bias) {
    weight = keep(random.normal({c}, 0.1) + 1.0);
    bias = keep(random.normal({c}, 0.1));
  };
  model.prior_std = keep(random.normal({t, d}, 0.2).exp());
  for (int b = 0; b < shape.blocks; ++b) {
    BlockWeights block;
    block.reversed = b % 2 == 1;
    linear(block.proj_in_weight, block.proj_in_bias, c, d, 1.0);
    block.position = keep(random.normal({t, c}, 0.5));
    block.class_mean = keep(at::zeros({c}));
    if (shape.classes > 0) {
      block.class_embed = keep(random.normal({shape.classes, c}, 0.5));
      block.class_mean = block.class_embed.mean(0);
    }
    linear(block.proj_out_weight, block.proj_out_bias, 2 * d, c, 0.1);
    for (int l = 0; l < shape.layers; ++l) {
      LayerWeights layer;
      norm(layer.attention_norm_weight, layer.attention_norm_bias);
      linear(layer.qkv_weight, layer.qkv_bias, 3 * c, c, 1.0);
      linear(layer.proj_weight, layer.proj_bias, c, c, 0.5);
      norm(layer.mlp_norm_weight, layer.mlp_norm_bias);
      linear(layer.up_weight, layer.up_bias, 4 * c, c, 1.0);
      linear(layer.down_weight, layer.down_bias, c, 4 * c, 0.5);
      block.layers.push_back(layer);
    }
    model.blocks.push_back(block);
  }
  return model;
}

}  // namespace tarflow
