#include "framework/sampling/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/kernels/guided_update.h"

namespace tarflow {
namespace {

constexpr int64_t kScratch = 1 << 20;  // bytes of work space that libraries take
constexpr int64_t kFloat = 4;          // bytes of the residual stream, iterates and norms

int64_t element_size(ComputeType compute) { return compute == ComputeType::kFloat32 ? 4 : 2; }

// Tokens of the longest evaluation.
int64_t longest_of(const ModelShape& shape, const Strategy& strategy) {
  int64_t longest = 1;
  for (const BlockPlan& plan : strategy.blocks)
    longest = std::max(longest, longest_evaluation(plan, shape.tokens()));
  return longest;
}

// Of a token's change, where a stop looks at it.
int64_t statistics_bytes(const ModelShape& shape, int64_t images, const Strategy& strategy) {
  const bool measured =
      std::any_of(strategy.blocks.begin(), strategy.blocks.end(), [](BlockPlan plan) {
        const Stop* const stop = stop_of(plan);
        return stop && stop->norm != Norm::kPublished;
      });
  if (!measured) return 0;
  return images * shape.tokens() * kernels::kStatistics * static_cast<int64_t>(sizeof(double));
}

// Of windows: outputs, deltas and residuals of all tokens, and what a solve of the linear model's
// system takes for those of a window.
int64_t window_bytes(const ModelShape& shape, int64_t images, const Strategy& strategy) {
  int64_t widest = 0;
  for (const BlockPlan& plan : strategy.blocks) {
    if (std::holds_alternative<Window>(plan.method))
      widest = std::max(widest, longest_evaluation(plan, shape.tokens()));
  }
  if (widest == 0) return 0;
  return images * shape.token_width() * kFloat * (3 * 2 * shape.tokens() + 12 * widest);
}

// One image's: what autograd keeps of each layer of a block for the derivative (both norms' inputs,
// queries, keys and values, attention's output, the MLP before GELU; linear layers keep none, as
// weights have no derivative), and what computing it takes besides.
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
  MemoryPlan plan;
  plan.images = images;
  plan.weights = shape.parameters() * element + evaluator.packed;
  plan.cache = evaluator.cache;
  // z, x, what comes from the block before, and its copy in the other order.
  const int64_t iterates = 4 * images * shape.tokens() * shape.token_width() * kFloat;
  plan.activations = evaluator.activations + iterates + statistics_bytes(shape, images, strategy) +
                     window_bytes(shape, images, strategy) + kScratch;
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
