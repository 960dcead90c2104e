// The derivative of GELU, for the compilers of CPUs and GPUs.
#pragma once

#include <cmath>

#include "framework/tensor/host_device.h"

namespace tarflow::kernels {

// Of x Phi(x), with the error function, as LibTorch computes it.
TARFLOW_HD float gelu_slope(float x) {
  constexpr float kHalfRoot = 0.70710678118654752440f;  // sqrt(1/2)
  constexpr float kDensity = 0.39894228040143267794f;   // 1 / sqrt(2 pi)
  const float below = 0.5f * (1.0f + std::erf(x * kHalfRoot));
  return below + x * (std::exp(-0.5f * x * x) * kDensity);
}

}  // namespace tarflow::kernels
