// One update of AdamW (docs/training.md) in one pass over the parameters.
#pragma once

#include <ATen/core/Tensor.h>

namespace tarflow::kernels {

struct AdamWUpdate {
  at::Tensor parameters, gradient;  // fp32, of one shape
  at::Tensor mean, square;          // fp32: running means of the gradient and of its square
  at::Tensor number;                // () fp32: number of this update, from 1
  at::Tensor divisor;               // () fp32 or undefined: the gradient is divided by it
  double rate = 0, beta1 = 0, beta2 = 0, weight_decay = 0, epsilon = 0;
};

// Updates parameters, mean and square in place.
void adamw(const AdamWUpdate& update);

}  // namespace tarflow::kernels
