#include "framework/sampling/sampler.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "framework/core/error.h"
#include "framework/model/patchify.h"
#include "framework/tensor/range.h"

namespace tarflow {

namespace {

void require_fitting(const Strategy& strategy, const Model& model) {
  const int stated = static_cast<int>(strategy.blocks.size());
  if (stated != model.shape.blocks) {
    throw Error(fmt::format("strategy {} has {} blocks, the model has {}", strategy.name, stated,
                            model.shape.blocks));
  }
  if (strategy.open_deviation()) {
    throw Error(fmt::format("strategy {} leaves the methods of its blocks open", strategy.name),
                "run `tune` and write the strategy that it gives");
  }
  if (strategy.has_open_guess()) {
    throw Error(fmt::format("strategy {} leaves an initial guess open", strategy.name),
                "state `guess: z` or `guess: zero` instead of `auto`");
  }
}

}  // namespace

Sampler::Sampler(const Model& model, int64_t capacity, SampleOptions options)
    : model_(model),
      options_(std::move(options)),
      evaluator_(make_evaluator(model, capacity, options_.guidance)) {
  require_fitting(options_.strategy, model);
}

SampleResult sample(const Model& model, const at::Tensor& noise, const Labels& labels,
                    const SampleOptions& options) {
  return Sampler(model, noise.size(0), options).sample(noise, labels);
}

SampleResult Sampler::sample(const at::Tensor& noise, const Labels& labels) {
  return sample(noise, labels, options_.strategy);
}

SampleResult Sampler::sample(const at::Tensor& noise, const Labels& labels,
                             const Strategy& strategy) {
  require_fitting(strategy, model_);
  const c10::NoGradGuard no_grad;
  const int count = model_.shape.blocks;
  SampleResult result;
  result.work.resize(static_cast<size_t>(count));
  const auto keep = [&](const at::Tensor& tokens) {
    if (options_.keep_trace) result.trace.push_back(unpatchify(tokens, model_.shape.patch_size));
  };
  keep(noise);
  at::Tensor x = noise * model_.prior_std;
  double evaluations = 0, given = 0, all = 0;  // given, all: passes as planned
  for (const BlockPlan& plan : strategy.blocks) all += most_passes(plan);
  for (int b = count - 1; b >= 0; --b) {
    if (options_.on_block) options_.on_block(b);
    const std::string name = fmt::format("block {}", b);
    const Range range(name);
    const BlockWeights& block = model_.blocks[static_cast<size_t>(b)];
    BlockWork& work = result.work[static_cast<size_t>(b)];
    work.block = b;
    evaluator_->begin(b, labels, noise.size(0));
    const at::Tensor z = to_block_order(block, x).contiguous();
    SolveOptions solve;
    if (options_.calibration)
      solve.linear = &options_.calibration->blocks.at(static_cast<size_t>(b));
    if (options_.on_progress) {
      solve.progress = [&, passes = most_passes(strategy.block(b))](double share) {
        options_.on_progress((given + share * passes) / all);
      };
    }
    x = to_block_order(block, invert_block(*evaluator_, strategy.block(b), z, solve, &work));
    evaluations += work.token_evaluations;
    given += most_passes(strategy.block(b));
    keep(x);
  }
  if (options_.on_block) options_.on_block(-1);
  result.images = unpatchify(x, model_.shape.patch_size);
  result.micro_batch = noise.size(0);
  result.block_passes = evaluations / static_cast<double>(model_.shape.tokens());
  return result;
}

}  // namespace tarflow
