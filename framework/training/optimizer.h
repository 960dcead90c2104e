// AdamW over a row of weights, as torch.optim.AdamW computes it, and what stands around it: the
// gradient's norm, clipping, the moving average of the weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "framework/training/parameters.h"

namespace tarflow::training {

struct AdamW {
  double beta1 = 0.9, beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 1e-4;  // of all parameters, biases and embeddings included
};

struct OptimizerState {
  at::Tensor mean, square;  // float32 rows: the moving means of the gradient and of its square
  int64_t updates = 0;      // made so far
};
OptimizerState initial_state(const at::Tensor& row);

// One update with the learning rate `rate`; a single kernel over the row. `divisor`: float32
// scalar on the row's device by which the gradient is divided first; undefined: 1.
void update(const AdamW& settings, double rate, const at::Tensor& row, const at::Tensor& gradient,
            const at::Tensor& divisor, OptimizerState& state);

// float64 scalar on the row's device.
at::Tensor norm_of(const ParameterLayout& layout, const at::Tensor& row);

// The divisor that limits a gradient of this norm to `largest`, as clip_grad_norm_ does: max(1,
// (norm + 1e-6) / largest).
at::Tensor clip_divisor(const at::Tensor& norm, double largest);

// average = decay average + (1 - decay) row
void follow(const at::Tensor& average, const at::Tensor& row, double decay);

}  // namespace tarflow::training
