#include "framework/sampling/sampler.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "framework/core/error.h"
#include "framework/model/patchify.h"
#include "tests/support/linear_flow.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

SampleOptions options_of(const BlockPlan& plan, double cfg = 0) {
  SampleOptions options;
  options.strategy = {"test", std::vector<BlockPlan>(3, plan)};
  options.guidance.cfg = cfg;
  return options;
}

at::Tensor some_noise(int64_t first, int64_t count) {
  return noise_of(kSmallShape, 21, count, at::kCPU, first);
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
  const BlockPlan plan = plan_of(4, 2, Guess::kZ, 3);
  const at::Tensor all =
      sample(model, some_noise(0, 5), {0, 1, 2, 3, 4}, options_of(plan, 1)).images;
  const at::Tensor one = sample(model, some_noise(3, 1), {3}, options_of(plan, 1)).images;
  EXPECT_TRUE(at::allclose(all.slice(0, 3, 4), one, 1e-4, 1e-5));
}

TEST(SamplerTest, TraceGoesFromNoiseToImages) {
  const Model model = random_model(kSmallShape, 3);
  SampleOptions options = options_of(plan_of(1, 3, Guess::kZero));
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

TEST(SamplerTest, TellsHowFarItIsAfterEveryStep) {
  const Model model = random_model(kSmallShape, 4);
  const std::vector<BlockPlan> plans = {{}, plan_of(1, 3), plan_of(4, 2), {Window{4, 0.1, WindowGuess::kUp, 3, "F"}}};
  for (const BlockPlan& plan : plans) {
    SampleOptions options = options_of(plan);
    std::vector<double> told;
    options.on_progress = [&](double share) { told.push_back(share); };
    const SampleResult result = sample(model, some_noise(0, 2), {0, 1}, options);
    EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
    ASSERT_FALSE(told.empty());
    EXPECT_GE(told.front(), 0);
    EXPECT_LE(told.back(), 1);
    EXPECT_GT(told.back(), 0.6);
    options.on_progress = {};
    EXPECT_TRUE(at::equal(result.images, sample(model, some_noise(0, 2), {0, 1}, options).images));
    if (!plan.sequential()) continue;
    EXPECT_EQ(told.size(), 3u * 15) << "inside a long For as well";
    EXPECT_DOUBLE_EQ(told.front(), 1.0 / 45);
    EXPECT_DOUBLE_EQ(told.back(), 1);
  }
}

TEST(SamplerTest, ServesFewerImagesAndRefusesMore) {
  const Model model = random_model(kSmallShape, 6);
  const SampleOptions options = options_of(plan_of(4, 2), 1);
  Sampler sampler(model, 4, options);
  for (const int64_t images : {1, 4, 3}) {
    const Labels labels(static_cast<size_t>(images), 2);
    const SampleResult result = sampler.sample(some_noise(0, images), labels);
    EXPECT_TRUE(
        at::equal(result.images, sample(model, some_noise(0, images), labels, options).images));
    EXPECT_EQ(result.micro_batch, images);
  }
  EXPECT_THROW(sampler.sample(some_noise(0, 5), Labels(5, 0)), Error);
}

TEST(SamplerTest, StrategyOfAnotherModelIsRefused) {
  const Model model = random_model(kSmallShape, 5);
  SampleOptions options = options_of({});
  options.strategy.blocks.pop_back();
  EXPECT_THROW(sample(model, some_noise(0, 1), {0}, options), Error);
}

TEST(SamplerTest, AnOpenGuessIsRefused) {
  const Model model = random_model(kSmallShape, 4);
  EXPECT_THROW(sample(model, some_noise(0, 1), {0}, options_of(plan_of(1, 3, Guess::kAuto))),
               Error);
}

}  // namespace
}  // namespace tarflow
