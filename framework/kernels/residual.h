// The published stop on the device (method.md section 2 "Stop"): iterations after it change
// nothing, so that the host may learn of it late.
#pragma once

#include <ATen/core/Tensor.h>

namespace tarflow::kernels {

struct Residual {
  at::Tensor change;    // (N) float64: squares of x' - x an image; set to zero
  at::Tensor history;   // (most) float64: entry done becomes sqrt(sum of change) / elements
  at::Tensor done;      // (1) int32: iterations so far, counted up
  at::Tensor stopped;   // (1) int32: raised by a residual that is not above the threshold
  double elements = 1;  // N D
  bool stops = false;   // whether there is a threshold
  double threshold = 0;
};

// Does nothing once `stopped` is raised. Sums in image order, so that the sum does not depend on
// how the images were computed.
void residual(const Residual& work);
void residual_cpu(const Residual& work);
void residual_cuda(const Residual& work);

}  // namespace tarflow::kernels
