#include "framework/sampling/batch_sampler.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "framework/sampling/memory_plan.h"
#include "tests/support/linear_flow.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

constexpr Guidance kGuided{1.0, 1.0};

SampleOptions options_of(const BlockPlan& plan) {
  SampleOptions options;
  options.strategy = {"test", std::vector<BlockPlan>(3, plan)};
  options.guidance = kGuided;
  return options;
}

at::Tensor some_noise(int64_t count) { return noise_of(kSmallShape, 21, count); }

BlockPlan published(int segments, int iterations, double threshold) {
  return plan_of(segments, iterations, Guess::kZ, kPublishedClamp, published_stop(threshold));
}

// What as many images at once take.
BatchOptions limited_to(const Model& model, const SampleOptions& options, int64_t images) {
  const MemoryPlan plan = memory_plan(model, images, options.guidance, options.strategy, false);
  return {.memory_limit = plan.working()};
}

TEST(InParts, GoesOnWithHalfWhereMemoryEnds) {
  int64_t size = 8;
  std::vector<int64_t> firsts, counts;
  in_parts(
      11, size, [&] { size = (size + 1) / 2; },
      [&](int64_t first, int64_t count) {
        TORCH_CHECK_WITH(OutOfMemoryError, first < 8 || count < 3, "made up");
        firsts.push_back(first);
        counts.push_back(count);
      });
  EXPECT_EQ(firsts, (std::vector<int64_t>{0, 8, 10}));
  EXPECT_EQ(counts, (std::vector<int64_t>{8, 2, 1}));
}

TEST(InParts, PassesTheErrorOnWhenOneImageDoesNotFit) {
  int64_t size = 4, tries = 0;
  const auto work = [&](int64_t, int64_t) {
    ++tries;
    TORCH_CHECK_WITH(OutOfMemoryError, false, "made up");
  };
  EXPECT_THROW(in_parts(
                   4, size, [&] { size = (size + 1) / 2; }, work),
               c10::OutOfMemoryError);
  EXPECT_EQ(tries, 3) << "4, 2 and 1 images";
}

TEST(BatchSampler, EnoughMemoryChangesNothing) {
  const Model model = random_model(kSmallShape, 1);
  const SampleOptions options = options_of(published(4, 3, 1e-3));
  const Labels labels = {0, 1, 2, 3, 4};
  const SampleResult expected = Sampler(model, 5, options).sample(some_noise(5), labels);
  for (const BatchOptions& batch : {BatchOptions{}, limited_to(model, options, 5)}) {
    BatchSampler sampler(model, options, batch);
    const SampleResult result = sampler.sample(some_noise(5), labels);
    EXPECT_EQ(sampler.micro_batch(), 5);
    EXPECT_TRUE(at::equal(result.images, expected.images));
  }
}

TEST(BatchSampler, PartsAreTheWholeWithoutStops) {
  const Model model = random_model(kSmallShape, 2);
  const Labels labels = {0, 1, 2, 3, 4};
  for (const BlockPlan& plan :
       {plan_of(0), plan_of(1, 4, Guess::kZero), plan_of(4, 2, Guess::kZ, 3)}) {
    const SampleOptions options = options_of(plan);
    const SampleResult whole = Sampler(model, 5, options).sample(some_noise(5), labels);
    BatchSampler sampler(model, options, limited_to(model, options, 3));
    const SampleResult parts = sampler.sample(some_noise(5), labels);
    EXPECT_EQ(sampler.micro_batch(), 3);
    EXPECT_TRUE(at::allclose(parts.images, whole.images, 1e-4, 1e-5));
    EXPECT_DOUBLE_EQ(parts.block_passes, whole.block_passes);
    for (size_t b = 0; b < 3; ++b) EXPECT_EQ(parts.work[b].iterations, whole.work[b].iterations);
  }
}

// The whole's residual at the end is within the threshold, and images differ by changes below it.
TEST(BatchSampler, PartsStopWhereTheWholeMay) {
  const Model model = random_model(kSmallShape, 3);
  const double threshold = 1e-4;
  const SampleOptions options = options_of(published(1, 15, threshold));
  const Labels labels = {0, 1, 2, 3, 4, 0};
  const SampleResult whole = Sampler(model, 6, options).sample(some_noise(6), labels);
  BatchSampler sampler(model, options, limited_to(model, options, 2));
  const SampleResult parts = sampler.sample(some_noise(6), labels);
  EXPECT_EQ(sampler.micro_batch(), 2);
  EXPECT_LT((parts.images - whole.images).abs().max().item<double>(), 0.05);
  for (const BlockWork& work : parts.work) {
    ASSERT_EQ(work.residuals.size(), static_cast<size_t>(work.iterations[0]));
    EXPECT_LE(work.residuals.back(), threshold);
    // Up to the first stop the parts together are the whole.
    EXPECT_NEAR(work.residuals[0] / whole.work[static_cast<size_t>(work.block)].residuals[0], 1,
                1e-2);
  }
}

TEST(BatchSampler, APartsShareOfTheThreshold) {
  const Strategy strategy{"s", {published(1, 5, 1e-6), BlockPlan{}}};
  EXPECT_EQ(for_part(strategy, 4, 4), strategy);
  Strategy part = for_part(strategy, 2, 8);
  EXPECT_DOUBLE_EQ(stop_of(part.blocks[0])->threshold, 2e-6);
  EXPECT_EQ(part.blocks[1], BlockPlan{});
}

TEST(BatchSampler, GradientsOfPartsAreThoseOfTheWhole) {
  const Model model = random_model(kSmallShape, 4);
  const SampleOptions options = options_of({});
  const at::Tensor images = some_noise(5).view({5, 3, 8, 8});
  const Labels labels = {0, 1, 2, 3, 4};
  BatchSampler sampler(model, options, limited_to(model, options, 2));
  EXPECT_TRUE(at::allclose(sampler.gradient(images, labels), loss_gradient(model, images, labels),
                           1e-4, 1e-7));
  EXPECT_EQ(sampler.micro_batch(), 2);
}

// A smaller batch after a larger one, as the last chunk of a run is, needs nothing made again.
TEST(BatchSampler, SmallerBatchesUseWhatIsThere) {
  const Model model = random_model(kSmallShape, 6);
  const SampleOptions options = options_of(plan_of(4, 2));
  BatchOptions batch = limited_to(model, options, 3);
  std::vector<std::string> lines;
  batch.say = [&](const std::string& line) { lines.push_back(line); };
  BatchSampler sampler(model, options, batch);
  sampler.prepare(5);
  const size_t planned = lines.size();
  for (const int64_t images : {5, 4, 1, 5}) {
    const Labels labels(static_cast<size_t>(images), 1);
    const SampleResult whole = Sampler(model, images, options).sample(some_noise(images), labels),
                       parts = sampler.sample(some_noise(images), labels);
    EXPECT_TRUE(at::allclose(parts.images, whole.images, 1e-4, 1e-5));
    EXPECT_EQ(parts.micro_batch, std::min<int64_t>(images, 3));
    EXPECT_NEAR(parts.work[0].cost.flops() / whole.work[0].cost.flops(), 1, 1e-9);
  }
  EXPECT_EQ(lines.size(), planned) << "planned once";
}

TEST(BatchSampler, SaysWhatItPlansAndThatItDivides) {
  const Model model = random_model(kSmallShape, 5);
  const SampleOptions options = options_of({});
  BatchOptions batch = limited_to(model, options, 2);
  std::vector<std::string> lines;
  batch.say = [&](const std::string& line) { lines.push_back(line); };
  BatchSampler sampler(model, options, batch);
  sampler.prepare(4);
  sampler.sample(some_noise(4), {0, 1, 2, 3});
  ASSERT_EQ(lines.size(), 2u) << "once for batches of one size";
  EXPECT_NE(lines[0].find("memory plan: 4 images at once"), std::string::npos) << lines[0];
  EXPECT_NE(lines[1].find("2 images at once"), std::string::npos) << lines[1];
}

// Memory for three images token by token: Jacobi, whose evaluations are of all tokens, gets what it
// would get alone, and sequential sampling keeps its size.
TEST(BatchSampler, PlansForTheStrategyThatRuns) {
  const Model model = random_model(kSmallShape, 6);
  const SampleOptions sequential = options_of({}), jacobi = options_of(plan_of(1, 4));
  const BatchOptions batch = limited_to(model, sequential, 3);
  const Labels labels = {0, 1, 2, 3, 4, 0};
  BatchSampler alone(model, jacobi, batch), both(model, sequential, batch);
  const at::Tensor expected = alone.sample(some_noise(6), labels).images;
  ASSERT_LT(alone.micro_batch(), 3) << "the strategies need as much as each other";
  both.sample(some_noise(6), labels);
  EXPECT_EQ(both.micro_batch(), 3);
  EXPECT_TRUE(at::equal(both.sample(some_noise(6), labels, jacobi.strategy).images, expected));
  EXPECT_EQ(both.micro_batch(), alone.micro_batch());
  both.gradient(some_noise(6).view({6, 3, 8, 8}), labels);
  EXPECT_EQ(both.micro_batch(), alone.micro_batch()) << "the gradient of what was sampled";
  both.sample(some_noise(6), labels);
  EXPECT_EQ(both.micro_batch(), 3);
}

TEST(BatchSamplerTest, ProgressIsThatOfTheWholeBatch) {
  const Model model = random_model(kSmallShape, 4);
  SampleOptions options = options_of({});
  std::vector<double> told;
  options.on_progress = [&](double share) { told.push_back(share); };
  BatchSampler sampler(model, options, limited_to(model, options, 2));
  sampler.sample(some_noise(5), {0, 1, 2, 3, 4});
  EXPECT_EQ(told.size(), 3u * 45) << "parts of 2, 2 and 1 images";
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_DOUBLE_EQ(told[44], 0.4);
  EXPECT_DOUBLE_EQ(told.back(), 1);
}

}  // namespace
}  // namespace tarflow
