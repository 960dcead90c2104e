#include "framework/sampling/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "framework/kernels/guided_update.h"

namespace tarflow {
namespace {

constexpr int64_t kScratch = 1 << 20;  // bytes of work space of libraries
constexpr int64_t kFloat = 4;          // bytes of a number in the residual stream and iterates

int64_t element_size(ComputeType compute) { return compute == ComputeType::kFloat32 ? 4 : 2; }

// Tokens of the longest evaluation of the strategy.
int64_t longest_of(const ModelShape& shape, const Strategy& strategy) {
  int64_t longest = 1;
  for (const BlockPlan& plan : strategy.blocks)
    longest = std::max(longest, longest_evaluation(plan, shape.tokens()));
  return longest;
}

// Bytes of the statistics of tokens, if a stop needs them.
int64_t statistics_bytes(const ModelShape& shape, int64_t images, const Strategy& strategy) {
  const bool measured =
      std::any_of(strategy.blocks.begin(), strategy.blocks.end(), [](BlockPlan plan) {
        const Stop* const stop = stop_of(plan);
        return stop && stop->norm != Norm::kPublished;
      });
  if (!measured) return 0;
  return images * shape.tokens() * kernels::kStatistics * static_cast<int64_t>(sizeof(double));
}

// Inputs of the windows, each width once.
std::set<int64_t> widths_of_windows(const ModelShape& shape, const Strategy& strategy) {
  std::set<int64_t> widths;
  for (const BlockPlan& plan : strategy.blocks) {
    if (!std::holds_alternative<Window>(plan.method)) continue;
    const int64_t width = longest_evaluation(plan, shape.tokens());
    if (width > 0) widths.insert(width);
  }
  return widths;
}

// Bytes of windows: deltas and residuals of all tokens; outputs, predictions and neighbours of a
// window's tokens, which each width has for itself; and what a solve of the linear model's system
// takes.
int64_t window_bytes(const ModelShape& shape, int64_t images, const std::set<int64_t>& widths) {
  if (widths.empty()) return 0;
  const int64_t all = std::accumulate(widths.begin(), widths.end(), int64_t{0}),
                numbers = 2 * 2 * shape.tokens() + 8 * all + 6 * *widths.rbegin();
  return images * shape.token_width() * kFloat * numbers;
}

// Bytes of the gradient per image. For each layer of a block autograd keeps the inputs of both
// norms, queries, keys, values, the output of attention and the MLP before GELU. Linear layers keep
// nothing, because weights have no derivative. The computation itself takes the rest.
int64_t gradient_bytes(const ModelShape& shape, int64_t element) {
  const int64_t c = shape.channels, d = shape.token_width(), t = shape.tokens();
  const int64_t kept = (3 * c + 2 * c + 5 * c) * element + 3 * c * kFloat;
  const int64_t passing = 2 * c * kFloat + 12 * c * element;
  const int64_t inputs = shape.blocks * t * d * kFloat;  // each block's input
  return shape.layers * t * kept + t * passing + inputs + 8 * t * d * kFloat;
}

std::string gigabytes(int64_t bytes) {
  const double value = static_cast<double>(bytes);
  return bytes < 100'000'000 ? fmt::format("{:.3g} MB", value / 1e6)
                             : fmt::format("{:.3g} GB", value / 1e9);
}

}  // namespace

std::string MemoryPlan::str() const {
  std::string text = fmt::format(
      "{} image{} at once: {} of weights, {} of keys and values, {} of activations", images,
      images == 1 ? "" : "s", gigabytes(weights), gigabytes(cache), gigabytes(activations));
  if (gradient > 0) text += fmt::format(", {} for self-denoising", gigabytes(gradient));
  return text + fmt::format("; {} in all", gigabytes(total()));
}

MemoryPlan memory_plan(const Model& model, int64_t images, const Guidance& guidance,
                       const Strategy& strategy, bool self_denoising) {
  const ModelShape& shape = model.shape;
  const int64_t element = element_size(model.compute);
  const EvaluatorBytes evaluator =
      evaluator_bytes(model, images, guidance, longest_of(shape, strategy));
  const std::set<int64_t> widths = widths_of_windows(shape, strategy);
  const int64_t widest = widths.empty() ? 0 : *widths.rbegin();
  MemoryPlan plan;
  plan.images = images;
  plan.weights = shape.parameters() * element + evaluator.packed;
  plan.cache = evaluator.cache;
  // z, x, the result of the previous block, and its copy in the other token order.
  const int64_t iterates = 4 * images * shape.tokens() * shape.token_width() * kFloat;
  plan.activations = evaluator.activations + iterates + statistics_bytes(shape, images, strategy) +
                     window_bytes(shape, images, widths) + kScratch;
  // The first evaluation of a window is not recorded; graphs have memory of their own.
  if (widest > 1 && model.device.is_cuda())
    plan.activations += evaluator_bytes(model, images, guidance, widest).activations;
  if (self_denoising) plan.gradient = images * gradient_bytes(shape, element) + kScratch;
  return plan;
}

int64_t images_within(int64_t bytes, int64_t images, const Model& model, const Guidance& guidance,
                      const Strategy& strategy, bool self_denoising) {
  int64_t count = images;
  while (count > 1 &&
         memory_plan(model, count, guidance, strategy, self_denoising).working() > bytes) {
    count = (count + 1) / 2;
  }
  return count;
}

}  // namespace tarflow
