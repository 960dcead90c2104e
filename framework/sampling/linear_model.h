// A linear model of a block's outputs. An adaptive window guesses its unsettled tokens with it
// (docs/method.md "Adaptive window"). The model is fitted once per checkpoint and serves every cfg,
// window and tolerance. A bad fit costs evaluations; it does not change the result of tolerance 0.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "framework/core/calibration.h"
#include "framework/model/forward.h"
#include "framework/model/weights.h"

namespace tarflow {

// theta_t = n_t J + j0 + q_t. theta_t = (a_t, g_t) has 2D features, n_t holds the four neighbours
// of token t (kernels::neighbours_of), and q_t is the residual of the last evaluation of token t.
// Without an evaluation q_t = up q_{t-S} + left q_{t-1}, elementwise.
struct LinearModel {
  at::Tensor j;         // (4D, 2D) fp32
  at::Tensor j0;        // (2D) fp32
  at::Tensor up, left;  // (2D) fp32, not negative, up + left <= 1
  double clip = 0;      // guesses are clipped to [-clip, clip]
};

// One entry per block, in checkpoint order.
struct Calibration {
  std::vector<LinearModel> blocks;
};

// Fits one block by ridge regression over tokens 1 .. T-1. x (N, T, D) and its outputs theta
// (N, T, 2D) are fp32 in the block's token order. Row 0 of theta is not read. Sums are float64.
// Throws Error if x or theta is not finite.
LinearModel fit_linear_model(const at::Tensor& x, const at::Tensor& theta, int64_t row);

// The seed of the calibration's noise. Sampling uses small seeds, so the noise differs.
inline constexpr uint64_t kCalibrationSeed = 0xCA11B8A7E0000001;

// Samples `noise` (N, T, D) sequentially with cfg 0 and fits each block. Throws Error if samples
// are not finite, if T is not a square, or for fewer than two images. `on_block` is called before
// each block; an exception from it ends the calibration. Each block samples `at_once` images at
// once, 0: all; another number changes the result by rounding.
Calibration calibrate(const Model& model, const at::Tensor& noise, const Labels& labels,
                      const std::function<void(int block)>& on_block = {}, int64_t at_once = 0);
// The same with kCalibrationImages images, whose noise has seed kCalibrationSeed.
Calibration calibrate(const Model& model, const std::function<void(int block)>& on_block = {},
                      int64_t at_once = 0);

// Tokens per row: the square root of T. Throws Error if T is not a square.
int64_t tokens_a_row(int64_t tokens);

}  // namespace tarflow
