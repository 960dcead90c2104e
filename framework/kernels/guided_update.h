// The Jacobi update of method.md section 2: x_t = exp(a_t) z_t + g_t with guidance, clamp and the
// change it makes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

// Entries of GuidedUpdate::statistics.
inline constexpr int64_t kSquares = 0;     // sum over D of (x' - x)^2
inline constexpr int64_t kLargest = 1;     // largest |x' - x|
inline constexpr int64_t kSize = 2;        // sum over D of x'^2
inline constexpr int64_t kStatistics = 3;  // how many there are

struct GuidedUpdate {
  at::Tensor conditional;    // (N, n, 2D): a then g of inputs [first, first + n)
  at::Tensor unconditional;  // likewise of the unconditional pass; undefined: no guidance
  at::Tensor z;              // (N, T, D) fp32
  at::Tensor x;              // (N, T, D) fp32; tokens first + 1 .. first + n are overwritten
  int64_t first = 0;
  double cfg = 0;           // weight of token t: cfg t / (T - 1)
  double clamp = 0;         // 0: none
  at::Tensor change = {};   // (N) float64 or undefined; the sum of squared changes of each image is
                            // added to it
  at::Tensor counter = {};  // as in Position: `first` counts from it
  at::Tensor stopped = {};  // (N) int32 or undefined: an image whose flag is raised stays as it is
  // (N, T, 3) float64 or undefined: of each token that is written, in the place of `change`.
  at::Tensor statistics = {};
  // (N, T, D) fp32 or undefined: takes the new tokens, and x stays as it is.
  at::Tensor out = {};
};

// Both twins; the device of x decides. At most one of change and statistics is defined.
void guided_update(const GuidedUpdate& update);
void guided_update_cpu(const GuidedUpdate& update);
void guided_update_cuda(const GuidedUpdate& update);

}  // namespace tarflow::kernels
