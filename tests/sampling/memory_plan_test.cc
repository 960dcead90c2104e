#include "framework/sampling/memory_plan.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/sampling/cost.h"
#include "framework/sampling/sampler.h"
#include "framework/tensor/memory.h"
#include "tests/support/random_model.h"

namespace tarflow {
namespace {

constexpr ModelShape kShape{32, 2, 128, 2, 3, 5, 0.1};  // T = 256, D = 12
constexpr Guidance kGuided{1.0, 1.0};

Strategy all_blocks(const BlockStrategy& plan) {
  return {"test", std::vector<BlockStrategy>(static_cast<size_t>(kShape.blocks), plan)};
}

// The most that sampling with plain operations takes, counted by LibTorch's allocator.
TEST(MemoryPlan, HoldsWhatSamplingTakes) {
  for (const BlockStrategy& plan :
       {BlockStrategy{}, BlockStrategy{1, 2, Guess::kZ}, BlockStrategy{8, 2, Guess::kZ}}) {
    const Model model = random_model(kShape, 1, at::kCPU, ComputeType::kBFloat16);
    const int64_t images = 4;
    const at::Tensor noise =
        normal_noise(0, 0, images, kShape.tokens(), kShape.token_width(), at::kCPU);
    SampleOptions options;
    options.strategy = all_blocks(plan);
    options.guidance = kGuided;
    const MemoryMeter meter(at::kCPU);
    sample(model, noise, {0, 1, 2, 3}, options);
    const MemoryPlan expected =
        memory_plan(kShape, images, model.compute, kGuided, options.strategy, false);
    EXPECT_GE(expected.working(), meter.peak()) << plan.segments << " segments";
    EXPECT_LE(expected.working(), 2 * meter.peak()) << plan.segments << " segments";
  }
}

TEST(MemoryPlan, HoldsWhatTheGradientTakes) {
  for (const ComputeType compute : {ComputeType::kFloat32, ComputeType::kBFloat16}) {
    const Model model = random_model(kShape, 2, at::kCPU, compute);
    const at::Tensor images = at::randn({2, 3, 32, 32});
    const MemoryMeter meter(at::kCPU);
    loss_gradient(model, images, {0, 1});
    const MemoryPlan plan = memory_plan(kShape, 2, compute, {}, all_blocks({}), true);
    EXPECT_GE(plan.gradient, meter.peak()) << to_string(compute);
    EXPECT_LE(plan.gradient, 2 * meter.peak()) << to_string(compute);
  }
}

TEST(MemoryPlan, KeysAndValuesOfBothPasses) {
  const MemoryPlan plan =
      memory_plan(kShape, 3, ComputeType::kFloat32, kGuided, all_blocks({}), false);
  EXPECT_EQ(plan.cache, int64_t{3} * 2 * 3 * 2 * 256 * 128 * 4) << "L, k and v, N, passes, T, C";
  EXPECT_EQ(plan.gradient, 0);
  EXPECT_EQ(plan.weights, kShape.parameters() * 4);
}

TEST(MemoryPlan, HalvesUntilItFits) {
  const auto within = [](int64_t bytes) {
    return images_within(bytes, 20, kShape, ComputeType::kFloat32, kGuided, all_blocks({}), false);
  };
  const auto needed = [](int64_t images) {
    return memory_plan(kShape, images, ComputeType::kFloat32, kGuided, all_blocks({}), false)
        .working();
  };
  EXPECT_EQ(within(needed(20)), 20);
  EXPECT_EQ(within(needed(20) - 1), 10);
  EXPECT_EQ(within(needed(5)), 5);
  EXPECT_EQ(within(0), 1);
}

TEST(InversionCost, CountsWhatIsEvaluated) {
  BlockWork work;
  work.iterations = {4};
  work.token_evaluations = 4 * 255;
  const EvaluationCost once = kShape.evaluation_cost(0, 255, 2, 4);
  const EvaluationCost cost = inversion_cost(kShape, BlockStrategy{1, 9, Guess::kZ}, work, 1,
                                             kGuided, ComputeType::kFloat32);
  EXPECT_DOUBLE_EQ(cost.flops(), 4 * once.flops());
  EXPECT_DOUBLE_EQ(cost.bytes(), 4 * once.bytes());

  // Steps see the same keys as one pass and do the same arithmetic, but read the weights each.
  work.iterations = {255};
  work.token_evaluations = 255;
  const EvaluationCost steps = inversion_cost(kShape, {}, work, 1, kGuided, ComputeType::kFloat32);
  EXPECT_NEAR(steps.flops() / once.flops(), 1, 1e-12);
  EXPECT_DOUBLE_EQ(steps.weight_bytes, 255 * once.weight_bytes);
}

}  // namespace
}  // namespace tarflow
