#include "framework/sampling/linear_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "framework/core/error.h"
#include "framework/kernels/neighbours.h"
#include "framework/sampling/batch_sampler.h"
#include "framework/sampling/evaluator.h"
#include "framework/sampling/solve.h"
#include "framework/tensor/noise.h"

namespace tarflow {
namespace {

constexpr double kRidge = 1;          // lambda, added to the diagonal of both problems
constexpr double kClipMargin = 1.25;  // times the largest |x| of the calibration

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const Matrix>;

ConstMap map_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<double>(), tensor.size(0), tensor.size(1)};
}

at::Tensor tensor_of(const Matrix& matrix) {
  const at::Tensor tensor = at::empty({matrix.rows(), matrix.cols()}, at::kDouble);
  std::copy(matrix.data(), matrix.data() + matrix.size(), tensor.mutable_data_ptr<double>());
  return tensor;
}

// (N, T, width) on the CPU, float64.
at::Tensor exact(const at::Tensor& tensor) { return tensor.cpu().to(at::kDouble).contiguous(); }

// argmin |theta - [n, 1] J|^2 + lambda |J|^2: (4D + 1, 2D), its last row is j0.
Matrix solve_ridge(const at::Tensor& neighbours, const at::Tensor& theta) {
  const at::Tensor ones = at::ones({neighbours.size(0), 1}, neighbours.options());
  const at::Tensor inputs = at::cat({neighbours, ones}, 1).contiguous();
  Matrix normal = map_of(at::mm(inputs.t(), inputs).contiguous());
  normal.diagonal().array() += kRidge;
  const Matrix right = map_of(at::mm(inputs.t(), theta).contiguous());
  return normal.ldlt().solve(right);
}

// Fits q_t ~ up q_{t-S} + left q_{t-1} for each of the 2D features. Both weights are made at least
// 0 and their sum at most 1. q: residuals (N, T, 2D), where row 0 is zero.
void fit_residuals(const at::Tensor& q, int64_t row, LinearModel& model) {
  const int64_t tokens = q.size(1);
  const at::Tensor now = q.slice(1, 1), left = q.slice(1, 0, tokens - 1);
  at::Tensor up = at::zeros_like(now);
  if (tokens > row + 1) up.slice(1, row).copy_(q.slice(1, 1, tokens - row));
  const auto dot = [](const at::Tensor& a, const at::Tensor& b) {
    return (a * b).sum(at::IntArrayRef{0, 1});
  };
  const at::Tensor uu = dot(up, up) + kRidge, ll = dot(left, left) + kRidge, ul = dot(up, left),
                   un = dot(up, now), ln = dot(left, now), determinant = uu * ll - ul * ul;
  const at::Tensor u = ((un * ll - ln * ul) / determinant).clamp_min(0),
                   l = ((ln * uu - un * ul) / determinant).clamp_min(0),
                   divisor = (u + l).clamp_min(1);
  model.up = (u / divisor).to(at::kFloat);
  model.left = (l / divisor).to(at::kFloat);
}

void require_finite(const at::Tensor& values, const char* what) {
  const int64_t bad = (~values.isfinite()).sum().item<int64_t>();
  if (bad == 0) return;
  throw Error(
      fmt::format("the calibration of the adaptive window fails: {} of the {} {} are not finite",
                  bad, values.numel(), what),
      "check the checkpoint with `sample` and strategy For; `guess: up` or `guess: z` need no "
      "calibration");
}

// The outputs of the sequential solution x (N, T, D): (N, T, 2D) fp32, row 0 zeros.
at::Tensor outputs_of(Evaluator& evaluator, const at::Tensor& x) {
  const int64_t tokens = x.size(1);
  at::Tensor theta = at::zeros({x.size(0), tokens, 2 * x.size(2)}, x.options());
  Step step;
  step.width = tokens - 1;
  theta.slice(1, 1).copy_(evaluator.evaluate(x, step).conditional);
  return theta;
}

}  // namespace

int64_t tokens_a_row(int64_t tokens) {
  const int64_t row = std::llround(std::sqrt(static_cast<double>(tokens)));
  if (row * row != tokens) {
    throw Error(fmt::format("{} tokens are no square", tokens),
                "`guess: up` and `guess: linear` need square images; `guess: z` does not");
  }
  return row;
}

LinearModel fit_linear_model(const at::Tensor& x, const at::Tensor& theta, int64_t row) {
  require_finite(x, "token values");
  require_finite(theta, "outputs");
  const int64_t tokens = x.size(1), width = x.size(2);
  const at::Tensor exact_x = exact(x), exact_theta = exact(theta).slice(1, 1);
  const at::Tensor neighbours =
      kernels::neighbours_of(exact_x, 1, tokens, row).view({-1, 4 * width});
  const Matrix solution =
      solve_ridge(neighbours.contiguous(), exact_theta.reshape({-1, 2 * width}).contiguous());
  const at::Tensor all = tensor_of(solution), j = all.slice(0, 0, 4 * width), j0 = all[4 * width];
  at::Tensor q = at::zeros({x.size(0), tokens, 2 * width}, at::kDouble);
  q.slice(1, 1).copy_(exact_theta -
                      (at::mm(neighbours, j) + j0).view({x.size(0), tokens - 1, 2 * width}));
  LinearModel model;
  model.j = j.to(at::kFloat).contiguous();
  model.j0 = j0.to(at::kFloat).contiguous();
  fit_residuals(q, row, model);
  model.clip = kClipMargin * exact_x.abs().max().item<double>();
  return model;
}

namespace {

// A block's sequential solution and its outputs there, both (N, T, ...) in the block's order.
struct Solved {
  at::Tensor x, theta;
};

// By parts of as many images as the evaluator takes.
Solved solve_in_parts(Evaluator& evaluator, int block, const at::Tensor& z, const Labels& labels) {
  std::vector<at::Tensor> x, theta;
  const int64_t images = z.size(0), size = evaluator.capacity();
  for (int64_t first = 0; first < images; first += size) {
    const int64_t count = std::min(size, images - first);
    const bool each = static_cast<int64_t>(labels.size()) == images;
    evaluator.begin(block, each ? part_of(labels, first, count) : labels, count);
    BlockWork work;
    x.push_back(invert_block(evaluator, BlockPlan{Sequential{}}, z.slice(0, first, first + count),
                             {}, &work));
    theta.push_back(z.size(1) > 1 ? outputs_of(evaluator, x.back()).cpu() : at::Tensor());
  }
  return {at::cat(x), z.size(1) > 1 ? at::cat(theta) : at::Tensor()};
}

}  // namespace

Calibration calibrate(const Model& model, const at::Tensor& noise, const Labels& labels,
                      const std::function<void(int block)>& on_block, int64_t at_once) {
  const c10::NoGradGuard no_grad;
  const int64_t images = noise.size(0), row = tokens_a_row(model.shape.tokens());
  if (images < 2) throw Error("a calibration of the adaptive window needs 2 images at least");
  const int64_t capacity = at_once > 0 ? std::min(at_once, images) : images;
  const std::unique_ptr<Evaluator> evaluator = make_evaluator(model, capacity, Guidance{});
  Calibration calibration;
  calibration.blocks.resize(model.blocks.size());
  at::Tensor x = noise * model.prior_std;
  for (size_t b = model.blocks.size(); b-- > 0;) {
    if (on_block) on_block(static_cast<int>(b));
    const BlockWeights& block = model.blocks[b];
    const Solved solved = solve_in_parts(*evaluator, static_cast<int>(b),
                                         to_block_order(block, x).contiguous(), labels);
    LinearModel& fitted = calibration.blocks[b];
    if (model.shape.tokens() > 1) fitted = fit_linear_model(solved.x, solved.theta, row);
    for (at::Tensor* tensor : {&fitted.j, &fitted.j0, &fitted.up, &fitted.left}) {
      if (tensor->defined()) *tensor = tensor->to(model.device);
    }
    x = to_block_order(block, solved.x);
  }
  return calibration;
}

Calibration calibrate(const Model& model, const std::function<void(int block)>& on_block,
                      int64_t at_once) {
  Labels labels;
  for (int64_t i = 0; i < kCalibrationImages && model.shape.classes > 0; ++i)
    labels.push_back(i % model.shape.classes);
  return calibrate(model,
                   normal_noise(kCalibrationSeed, 0, kCalibrationImages, model.shape.tokens(),
                                model.shape.token_width(), model.device),
                   labels, on_block, at_once);
}

}  // namespace tarflow
