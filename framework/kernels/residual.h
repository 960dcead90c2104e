// The stop of Jacobi iterations on the device (method.md section 2 "Stop"): iterations after it
// change nothing, so that the host may learn of it late.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "framework/core/stop.h"

namespace tarflow::kernels {

struct Residual {
  at::Tensor change;      // (N) float64: squares of x' - x of each image; set to zero
  at::Tensor statistics;  // (N, T, 3) or undefined, as in GuidedUpdate: of tokens [first, last);
                          // the changes are set to zero. `change` is then summed from it
  int64_t first = 0, last = 0;
  at::Tensor history;   // (most) float64: entry `done` becomes sqrt(sum of change) / (N D)
  at::Tensor done;      // (1) int32: iterations so far, counted up
  at::Tensor stopped;   // (N) int32: raised for images that have stopped
  at::Tensor finished;  // (1) int32: raised when all have
  int64_t width = 1;    // D
  std::optional<Stop> stop = {};
};

// Judges an iteration; does nothing once `finished` is raised. Sums in image order, so that a sum
// does not depend on how the images were computed. `statistics` is needed for every norm but the
// published one.
void residual(const Residual& work);
void residual_cpu(const Residual& work);
void residual_cuda(const Residual& work);

}  // namespace tarflow::kernels
