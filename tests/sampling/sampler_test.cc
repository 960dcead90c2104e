#include "framework/sampling/sampler.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "framework/model/patchify.h"
#include "tests/support/linear_flow.h"

namespace tarflow {
namespace {

SampleOptions options_of(const BlockStrategy& plan, double cfg = 0) {
  SampleOptions options;
  options.strategy = {"test", std::vector<BlockStrategy>(3, plan)};
  options.guidance.cfg = cfg;
  return options;
}

at::Tensor some_noise(int64_t first, int64_t count) {
  return normal_noise(21, first, count, 16, 12, at::kCPU);
}

TEST(SamplerTest, ForwardUndoesSampling) {
  const Model model = random_model(kSmallShape, 1);
  const at::Tensor noise = some_noise(0, 3);
  const Labels labels = {0, 2, 4};
  const SampleResult result = sample(model, noise, labels, options_of({}));
  const at::Tensor z = forward(model, result.images, labels).z;
  EXPECT_LT((z - noise * model.prior_std).abs().max().item<double>(), 2e-4);
}

TEST(SamplerTest, AnImageDoesNotDependOnItsBatch) {
  const Model model = random_model(kSmallShape, 2);
  const BlockStrategy plan{4, 2, Guess::kZ, 3, StopRule::kNone, 0};
  const at::Tensor all =
      sample(model, some_noise(0, 5), {0, 1, 2, 3, 4}, options_of(plan, 1)).images;
  const at::Tensor one = sample(model, some_noise(3, 1), {3}, options_of(plan, 1)).images;
  EXPECT_TRUE(at::allclose(all.slice(0, 3, 4), one, 1e-4, 1e-5));
}

TEST(SamplerTest, TraceGoesFromNoiseToImages) {
  const Model model = random_model(kSmallShape, 3);
  SampleOptions options = options_of({1, 3, Guess::kZero, 0, StopRule::kNone, 0});
  options.keep_trace = true;
  const at::Tensor noise = some_noise(0, 2);
  const SampleResult result = sample(model, noise, {0, 1}, options);
  ASSERT_EQ(result.trace.size(), 4u);
  EXPECT_TRUE(at::equal(result.trace.front(), unpatchify(noise, 2)))
      << "the raw noise, before the prior's variance";
  EXPECT_TRUE(at::equal(result.trace.back(), result.images));
}

TEST(SamplerTest, WorkIsCounted) {
  const Model model = random_model(kSmallShape, 4);
  const SampleResult sequential = sample(model, some_noise(0, 1), {0}, options_of({}));
  EXPECT_DOUBLE_EQ(sequential.block_passes, 3 * 15.0 / 16);
  ASSERT_EQ(sequential.work.size(), 3u);
  EXPECT_EQ(sequential.work[2].block, 2);
  EXPECT_EQ(sequential.work[2].iterations, std::vector<int>{15});
}

TEST(SamplerTest, StrategyOfAnotherModelIsRefused) {
  const Model model = random_model(kSmallShape, 5);
  SampleOptions options = options_of({});
  options.strategy.blocks.pop_back();
  EXPECT_THROW(sample(model, some_noise(0, 1), {0}, options), Error);
}

TEST(SamplerTest, AnOpenGuessIsRefused) {
  const Model model = random_model(kSmallShape, 4);
  EXPECT_THROW(sample(model, some_noise(0, 1), {0}, options_of({1, 3, Guess::kAuto})), Error);
  // A sequential block has none.
  EXPECT_NO_THROW(sample(model, some_noise(0, 1), {0}, options_of({0, 0, Guess::kAuto})));
}

}  // namespace
}  // namespace tarflow
