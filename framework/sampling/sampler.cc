#include "framework/sampling/sampler.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "framework/core/error.h"
#include "framework/model/patchify.h"

namespace tarflow {

SampleResult sample(const Model& model, const at::Tensor& noise, const Labels& labels,
                    const SampleOptions& options) {
  const c10::NoGradGuard no_grad;
  const int count = model.shape.blocks;
  if (static_cast<int>(options.strategy.blocks.size()) != count) {
    throw Error(fmt::format("strategy {} states {} blocks, the model has {}", options.strategy.name,
                            options.strategy.blocks.size(), count));
  }
  SampleResult result;
  result.work.resize(static_cast<size_t>(count));
  const auto keep = [&](const at::Tensor& tokens) {
    if (options.keep_trace) result.trace.push_back(unpatchify(tokens, model.shape.patch_size));
  };
  const std::unique_ptr<Evaluator> evaluator =
      make_evaluator(model, noise.size(0), options.guidance);
  keep(noise);
  at::Tensor x = noise * model.prior_std;
  int64_t evaluations = 0;
  for (int b = count - 1; b >= 0; --b) {
    const BlockWeights& block = model.blocks[static_cast<size_t>(b)];
    BlockWork& work = result.work[static_cast<size_t>(b)];
    work.block = b;
    evaluator->begin(b, labels);
    const at::Tensor z = to_block_order(block, x).contiguous();
    const InvertOptions invert{options.guidance.cfg, options.record_residuals};
    x = to_block_order(block,
                       invert_block(*evaluator, options.strategy.block(b), z, invert, &work));
    evaluations += work.token_evaluations;
    keep(x);
  }
  result.images = unpatchify(x, model.shape.patch_size);
  result.block_passes =
      static_cast<double>(evaluations) / static_cast<double>(model.shape.tokens());
  return result;
}

}  // namespace tarflow
