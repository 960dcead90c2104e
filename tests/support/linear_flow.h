// A flow whose inverse is known: a = 0 and g_t = A x_{t-1} + b, so that x_t = z_t + A x_{t-1} + b.
#pragma once

#include "tests/support/random_model.h"

namespace tarflow {

struct LinearFlow {
  Model model;   // every block has the same A and b
  at::Tensor a;  // (D, D)
  at::Tensor b;  // (D)

  // x for one block, in the block's token order; z: (N, T, D).
  at::Tensor solve(const at::Tensor& z) const {
    at::Tensor x = z.clone();
    for (int64_t t = 1; t < z.size(1); ++t)
      x.select(1, t).add_(at::matmul(x.select(1, t - 1), a.t()) + b);
    return x;
  }
};

// The attention and MLP of its layers add nothing; D <= C so that proj_in can carry a token whole.
inline LinearFlow linear_flow(const ModelShape& shape, uint64_t seed) {
  LinearFlow flow{random_model(shape, seed), {}, {}};
  RandomTensors random(seed + 1);
  const int64_t d = shape.token_width(), c = shape.channels;
  flow.a = random.normal({d, d}, 0.7 / std::sqrt(static_cast<double>(d)));
  flow.b = random.normal({d}, 0.3);
  for (BlockWeights& block : flow.model.blocks) {
    block.proj_in_weight = at::eye(c, d);
    block.proj_in_bias.zero_();
    block.position.zero_();
    if (block.class_embed.defined()) block.class_embed.zero_();
    block.class_mean.zero_();
    for (LayerWeights& layer : block.layers) {
      for (at::Tensor* tensor :
           {&layer.proj_weight, &layer.proj_bias, &layer.down_weight, &layer.down_bias})
        tensor->zero_();
    }
    block.proj_out_weight =
        at::cat({at::zeros({d, c}), at::constant_pad_nd(flow.a, {0, c - d}, 0)}).contiguous();
    block.proj_out_bias = at::cat({at::zeros({d}), flow.b});
  }
  return flow;
}

inline constexpr ModelShape kSmallShape{.image_size = 8,
                                        .patch_size = 2,
                                        .channels = 64,
                                        .blocks = 3,
                                        .layers = 2,
                                        .classes = 5,
                                        .noise_std = 0.1};

}  // namespace tarflow
