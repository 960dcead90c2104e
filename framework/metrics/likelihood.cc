#include "framework/metrics/likelihood.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "framework/model/patchify.h"

namespace tarflow::metrics {

Likelihood likelihood(const Model& model, const at::Tensor& images, const Labels& labels) {
  const c10::NoGradGuard no_grad;
  constexpr std::array<int64_t, 2> tokens_and_width{1, 2};
  at::Tensor x = patchify(images, model.shape.patch_size);
  std::vector<at::Tensor> logdets;
  for (const BlockWeights& block : model.blocks) {
    const BlockForward result = block_forward(model, block, to_block_order(block, x), labels);
    x = to_block_order(block, result.z);
    logdets.push_back(-result.shifted.a.mean(tokens_and_width, false, at::kDouble));
  }
  Likelihood found;
  found.logdets = at::stack(logdets, 1);
  const double constant = 0.5 * std::log(2 * std::numbers::pi);
  found.nats =
      0.5 * x.to(at::kDouble).square().mean(tokens_and_width) + constant - found.logdets.sum(1);
  return found;
}

double nats_of_levels(double nats) { return nats + std::log(128.0); }

double bits_per_dimension(double nats) { return nats_of_levels(nats) / std::numbers::ln2; }

at::Tensor dequantised(const at::Tensor& images, const at::Tensor& u) {
  // The levels are whole numbers again: rounding undoes what v/255*2-1 did in float32.
  const at::Tensor levels = ((images + 1) * 127.5).round();
  return (levels + u) / 128 - 1;
}

void RunningMean::add(double value) {
  ++count_;
  const double before = value - mean_;
  mean_ += before / static_cast<double>(count_);
  squares_ += before * (value - mean_);
}

double RunningMean::standard_error() const {
  if (count_ < 2) return std::numeric_limits<double>::quiet_NaN();
  const double n = static_cast<double>(count_);
  return std::sqrt(squares_ / (n - 1) / n);
}

}  // namespace tarflow::metrics
