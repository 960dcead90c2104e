// The Jacobi update (method.md section 2): x_t = exp(a_t) z_t + g_t with guidance and clamp. It
// also measures the change of x.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

// Entries of GuidedUpdate::statistics.
inline constexpr int64_t kSquares = 0;     // sum over D of (x' - x)^2
inline constexpr int64_t kLargest = 1;     // largest |x' - x|
inline constexpr int64_t kSize = 2;        // sum over D of x'^2
inline constexpr int64_t kStatistics = 3;  // number of entries

struct GuidedUpdate {
  at::Tensor conditional;    // (N, n, 2D): a, then g, of inputs [first, first + n)
  at::Tensor unconditional;  // the same of the unconditional pass; undefined: no guidance
  at::Tensor z;              // (N, T, D) fp32
  at::Tensor x;              // (N, T, D) fp32; tokens first + 1 .. first + n are overwritten
  int64_t first = 0;
  double cfg = 0;          // weight of token t: cfg t / (T - 1)
  double clamp = 0;        // 0: no clamp
  at::Tensor change = {};  // (N) float64 or undefined: each image's sum of squared changes is added
  at::Tensor counter = {};  // as in Position: the token's index is first + *counter
  at::Tensor stopped = {};  // (N) int32 or undefined: a raised flag keeps the image unchanged
  // (N, T, 3) float64 or undefined: receives the statistics of each token that is written.
  at::Tensor statistics = {};
  // (N, T, D) fp32 or undefined: receives the new tokens. x stays unchanged then.
  at::Tensor out = {};
};

// Runs the CPU or the CUDA version, as the device of x says. Throws std::logic_error if both
// `change` and `statistics` are defined.
void guided_update(const GuidedUpdate& update);
void guided_update_cpu(const GuidedUpdate& update);
void guided_update_cuda(const GuidedUpdate& update);

}  // namespace tarflow::kernels
