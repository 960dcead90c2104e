// The Jacobi update of method.md section 2: x_t = exp(a_t) z_t + g_t with guidance, clamp and the
// change it makes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

struct GuidedUpdate {
  at::Tensor outputs;  // (N or 2N, n, 2D): a then g of inputs [first, first + n); rows N.. are the
                       // unconditional pass
  at::Tensor z;        // (N, T, D) fp32
  at::Tensor x;        // (N, T, D) fp32; tokens first + 1 .. first + n are overwritten
  int64_t first = 0;
  double cfg = 0;    // weight of token t: cfg t / (T - 1); used when outputs have 2N rows
  double clamp = 0;  // 0: none
  at::Tensor
      change;  // (N) float64, or undefined; the sum of squared changes of each image is added to it
  at::Tensor counter = {};  // as in Position: `first` counts from it
  at::Tensor stopped = {};  // (1) int32 or undefined: once raised nothing is changed
};

// Both twins; the device of x decides.
void guided_update(const GuidedUpdate& update);
void guided_update_cpu(const GuidedUpdate& update);
void guided_update_cuda(const GuidedUpdate& update);

}  // namespace tarflow::kernels
