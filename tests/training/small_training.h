// A small training for tests.
#pragma once

#include <ATen/ATen.h>

#include "framework/training/trainer.h"
#include "tests/support/random_model.h"

namespace tarflow::training {

inline constexpr ModelShape kTinyShape{
    .image_size = 8, .patch_size = 2, .channels = 64, .blocks = 3, .layers = 2, .classes = 4};

inline ModelShape unconditional(ModelShape shape) {
  shape.classes = 0;
  return shape;
}

inline ModelShape volume_preserving(ModelShape shape) {
  shape.volume_preserving = true;
  return shape;
}

inline ModelShape grey(ModelShape shape) {
  shape.colours = 1;
  return shape;
}

// Weights of which none is zero, so that every gradient is there.
inline at::Tensor some_row(const ParameterLayout& layout, uint64_t seed) {
  at::Tensor row = initial_parameters(layout, seed);
  RandomTensors random(seed + 1);
  for (int b = 0; b < layout.shape().blocks; ++b) {
    for (const at::Tensor& tensor : layout.views(row, b))
      tensor.add_(random.normal(tensor.sizes(), 0.05));
  }
  return row;
}

inline at::Tensor some_images(const ModelShape& shape, int64_t count, uint64_t seed = 5) {
  return normal_noise(seed, 0, count, shape.tokens(), shape.token_width(), at::kCPU)
             .view({count, -1, shape.image_size, shape.image_size}) *
         0.5;
}

}  // namespace tarflow::training
