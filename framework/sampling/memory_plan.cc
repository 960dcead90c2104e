#include "framework/sampling/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/sampling/invert.h"

namespace tarflow {
namespace {

constexpr int64_t kScratch = 1 << 20;  // bytes of work space that libraries take
constexpr int64_t kFloat = 4;          // bytes of the residual stream, iterates and norms

int64_t element_size(ComputeType compute) { return compute == ComputeType::kFloat32 ? 4 : 2; }

// Tokens of the longest evaluation.
int64_t longest_evaluation(const ModelShape& shape, const Strategy& strategy) {
  int64_t longest = 1;
  for (const BlockStrategy& block : strategy.blocks) {
    if (block.sequential()) continue;
    for (const Segment& range : segments(shape.tokens(), block.segments))
      longest = std::max(longest, range.last - range.first);
  }
  return longest;
}

// One row's: the residual stream and, at its widest, a layer's MLP before and after GELU beside its
// input in both types; and the outputs in both types.
int64_t evaluation_bytes(const ModelShape& shape, int64_t tokens, int64_t element) {
  const int64_t c = shape.channels, d = shape.token_width();
  const int64_t layer = 2 * c * kFloat + (c + 8 * c) * element;
  return tokens * (layer + 2 * d * (element + kFloat));
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

MemoryPlan memory_plan(const ModelShape& shape, int64_t images, ComputeType compute,
                       const Guidance& guidance, const Strategy& strategy, bool self_denoising) {
  const int64_t element = element_size(compute), t = shape.tokens(), c = shape.channels,
                rows = guidance.doubled(shape) ? 2 * images : images;
  MemoryPlan plan;
  plan.images = images;
  plan.weights = shape.parameters() * element;
  plan.cache = int64_t{2} * shape.layers * rows * t * c * element;
  // z, x, what comes from the block before, and its copy in the other order.
  const int64_t iterates = 4 * images * t * shape.token_width() * kFloat;
  plan.activations = rows * evaluation_bytes(shape, longest_evaluation(shape, strategy), element) +
                     iterates + kScratch;
  if (self_denoising) plan.gradient = images * gradient_bytes(shape, element) + kScratch;
  return plan;
}

int64_t images_within(int64_t bytes, int64_t images, const ModelShape& shape, ComputeType compute,
                      const Guidance& guidance, const Strategy& strategy, bool self_denoising) {
  int64_t count = images;
  while (count > 1 &&
         memory_plan(shape, count, compute, guidance, strategy, self_denoising).working() > bytes) {
    count = (count + 1) / 2;
  }
  return count;
}

}  // namespace tarflow
