// A linear model of a block's outputs: what stands for tokens of an adaptive window that the
// network has not settled (docs/method.md "Adaptive window"). It is fitted once a checkpoint and
// serves every cfg, window and tolerance; a model that fits badly costs evaluations and never
// changes what tolerance 0 gives.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "framework/core/calibration.h"
#include "framework/model/forward.h"
#include "framework/model/weights.h"

namespace tarflow {

// theta_t = n_t J + j0 + q_t, where theta_t = (a_t, g_t) is 2D wide, n_t holds the four neighbours
// of token t (neighbours_of) and q_t is the last residual that is known. The residual of a token
// that was never evaluated is up q_{t-S} + left q_{t-1}, elementwise.
struct LinearModel {
  at::Tensor j;         // (4D, 2D) fp32
  at::Tensor j0;        // (2D) fp32
  at::Tensor up, left;  // (2D) fp32, not negative, up + left <= 1
  double clip = 0;      // guesses are clipped to [-clip, clip]
};

// One entry a block, in checkpoint order.
struct Calibration {
  std::vector<LinearModel> blocks;
};

// (N, last - first, 4D): x_{t-1} | x_{t-S} | x_{t-S+1} | x_{t-S-1} of tokens t in [first, last) of
// x (N, T, D) in the block's token order; tokens before the first are zeros. S: tokens a row of the
// image. first >= 1.
at::Tensor neighbours_of(const at::Tensor& x, int64_t first, int64_t last, int64_t row);

// n_t J + j0 of the same tokens, (N, last - first, 2D).
at::Tensor predicted(const LinearModel& model, const at::Tensor& x, int64_t first, int64_t last,
                     int64_t row);

// The ridge problems of one block over the tokens 1 .. T-1 of x (N, T, D) and its outputs theta
// (N, T, 2D), both fp32 in the block's token order; row 0 of theta is not read. Sums are float64.
// Throws Error where x or theta is not finite.
LinearModel fit_linear_model(const at::Tensor& x, const at::Tensor& theta, int64_t row);

// A seed that nothing else uses, since images are sampled from small ones.
inline constexpr uint64_t kCalibrationSeed = 0xCA11B8A7E0000001;

// Samples `noise` (N, T, D) sequentially with cfg 0 and fits each block. Throws Error where what is
// sampled is not finite, where T is not a square, or where fewer than two images are given.
// `on_block` is called before each block is sampled; what it throws ends the calibration.
Calibration calibrate(const Model& model, const at::Tensor& noise, const Labels& labels,
                      const std::function<void(int block)>& on_block = {});
// The same with kCalibrationImages, whose noise is of a fixed seed.
Calibration calibrate(const Model& model, const std::function<void(int block)>& on_block = {});

// Tokens a row: the square root of T. Throws Error for a T that is no square.
int64_t tokens_a_row(int64_t tokens);

}  // namespace tarflow
