// The stop of Jacobi iterations (method.md section 2 "Stop"). The device judges it. Iterations
// after the stop change nothing, so the host may learn of the stop late.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "framework/core/stop.h"

namespace tarflow::kernels {

struct Residual {
  at::Tensor change;  // (N) float64: each image's sum of squares of x' - x; becomes zero
  // (N, T, 3) float64 or undefined, as in GuidedUpdate. If it is defined, tokens [first, last) give
  // the sums of squares, and their changes become zero. `change` is not read then.
  at::Tensor statistics;
  int64_t first = 0, last = 0;
  at::Tensor history;   // (limit of iterations) float64: entry `done` becomes the published norm
  at::Tensor done;      // (1) int32: the number of iterations; increases by 1
  at::Tensor stopped;   // (N) int32: the flag of each image that has stopped is raised
  at::Tensor finished;  // (1) int32: raised when all images have stopped
  int64_t width = 1;    // D
  std::optional<Stop> stop = {};
};

// Judges an iteration. Does nothing once `finished` is raised. Images are added in their order, so
// a sum does not depend on how the images were computed. Throws std::logic_error if the stop's norm
// is not the published one and `statistics` is undefined.
void residual(const Residual& work);
void residual_cpu(const Residual& work);
void residual_cuda(const Residual& work);

}  // namespace tarflow::kernels
