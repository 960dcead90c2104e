#include "framework/sampling/memory_plan.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/sampling/sampler.h"
#include "framework/tensor/memory.h"
#include "tests/support/devices.h"
#include "tests/support/plans.h"
#include "tests/support/random_model.h"

namespace tarflow {
namespace {

constexpr ModelShape kShape{32, 2, 128, 2, 3, 5, 0.1};  // T = 256, D = 12
constexpr Guidance kGuided{1.0, 1.0};

Strategy all_blocks(const BlockPlan& plan) {
  return {"test", std::vector<BlockPlan>(static_cast<size_t>(kShape.blocks), plan)};
}

// What the CPU's libraries allocate depends on its instructions and cores: with bfloat16 units no
// float32 copies are made, and each of many threads has some scratch of its own.
constexpr int64_t kMostOnCpus = 3;
constexpr double kScratch = 1.05;

// The most that sampling takes, counted by LibTorch's allocator. The threads' scratch and the
// packed weights of the CPU's evaluator are not LibTorch's.
TEST(MemoryPlan, HoldsWhatSamplingTakes) {
  for (const ComputeType compute : {ComputeType::kBFloat16, ComputeType::kFloat32}) {
    for (const BlockPlan& plan : {plan_of(0), plan_of(1, 2), plan_of(8, 2),
                                  plan_of(1, 2, Guess::kZ, 0, Stop{Norm::kMaxAbs, 0.1})}) {
      const Model model = random_model(kShape, 1, at::kCPU, compute);
      const int64_t images = 4;
      const at::Tensor noise = noise_of(kShape, 0, images);
      SampleOptions options;
      options.strategy = all_blocks(plan);
      options.guidance = kGuided;
      const MemoryMeter meter(at::kCPU);
      sample(model, noise, {0, 1, 2, 3}, options);
      const MemoryPlan expected = memory_plan(model, images, kGuided, options.strategy, false);
      EXPECT_GE(kScratch * static_cast<double>(expected.working()), meter.peak())
          << describe(options.strategy);
      EXPECT_LE(expected.working(), kMostOnCpus * meter.peak()) << describe(options.strategy);
    }
  }
}

// The evaluator of a GPU, with its graphs. The first sampling leaves work space of libraries
// behind, which no batch takes again. Beside the plan the evaluator has a copy of one block's
// weights.
TEST(MemoryPlan, HoldsWhatSamplingTakesOnAGpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  const at::Device device(at::kCUDA, 0);
  const int64_t images = 64;
  const at::Tensor noise = noise_of(kShape, 0, images, device);
  for (const ComputeType compute : {ComputeType::kBFloat16, ComputeType::kFloat32}) {
    const Model model = random_model(kShape, 1, device, compute);
    for (const BlockPlan& plan : {plan_of(0), plan_of(1, 2), plan_of(8, 2),
                                  plan_of(1, 2, Guess::kZ, 0, Stop{Norm::kMaxAbs, 0.1})}) {
      SampleOptions options;
      options.strategy = all_blocks(plan);
      options.guidance = kGuided;
      sample(model, noise, {1}, options);
      synchronize(device);
      const MemoryMeter meter(device);
      sample(model, noise, {1}, options);
      synchronize(device);
      const int64_t working =
          memory_plan(model, images, kGuided, options.strategy, false).working() +
          weight_bytes(kShape, compute) / kShape.blocks;
      EXPECT_GE(working, meter.peak()) << to_string(compute) << ", " << describe(options.strategy);
      EXPECT_LE(working, 2 * meter.peak())
          << to_string(compute) << ", " << describe(options.strategy);
    }
  }
}

// Of each evaluator for CPUs: what it allocates, and an evaluation. The fused one's twins on a CPU
// take more than its kernels.
TEST(MemoryPlan, HoldsWhatEachEvaluatorTakes) {
  for (const ComputeType compute : {ComputeType::kBFloat16, ComputeType::kFloat32}) {
    const Model model = random_model(kShape, 1, at::kCPU, compute);
    const int64_t images = 8, rows = 2 * images, width = kShape.tokens() - 1;
    const at::Tensor x = noise_of(kShape, 0, images);
    for (const double attn_temp : {1.0, 0.5}) {
      const Guidance guidance{1, attn_temp};
      const auto compare = [&](const char* name, const EvaluatorBytes& bytes, const auto& make) {
        const MemoryMeter meter(at::kCPU);
        const std::unique_ptr<Evaluator> evaluator = make(model, images, guidance);
        evaluator->begin(0, {1}, images);
        Step step;
        step.width = width;
        const Outputs outputs = evaluator->evaluate(x, step);
        const int64_t planned = bytes.cache + bytes.activations;
        EXPECT_GE(kScratch * static_cast<double>(planned), meter.peak()) << name;
        EXPECT_LE(planned, kMostOnCpus * meter.peak()) << name;
      };
      compare("plain", tensor_bytes(model, rows, width),
              [](const auto&... of) { return make_tensor_evaluator(of...); });
      if (compute == ComputeType::kBFloat16) continue;
      compare("cpu", cpu_bytes(model, rows, width),
              [](const auto&... of) { return make_cpu_evaluator(of...); });
    }
  }
}

TEST(MemoryPlan, IsOfTheEvaluatorThatRuns) {
  const Model exact = random_model(kShape, 1),
              rounded = random_model(kShape, 1, at::kCPU, ComputeType::kBFloat16);
  const MemoryPlan own = memory_plan(exact, 4, kGuided, all_blocks({}), false),
                   plain = memory_plan(rounded, 4, kGuided, all_blocks({}), false);
  EXPECT_GT(own.weights, kShape.parameters() * 4) << "packed beside the model's";
  EXPECT_EQ(plain.weights, kShape.parameters() * 2);
  EXPECT_EQ(own.cache, 2 * plain.cache);
}

TEST(MemoryPlan, HoldsWhatTheGradientTakes) {
  for (const ComputeType compute : {ComputeType::kFloat32, ComputeType::kBFloat16}) {
    const Model model = random_model(kShape, 2, at::kCPU, compute);
    const at::Tensor images = at::randn({2, 3, 32, 32});
    const MemoryMeter meter(at::kCPU);
    loss_gradient(model, images, {0, 1});
    const MemoryPlan plan = memory_plan(model, 2, {}, all_blocks({}), true);
    EXPECT_GE(plan.gradient, meter.peak()) << to_string(compute);
    EXPECT_LE(plan.gradient, 2 * meter.peak()) << to_string(compute);
  }
}

TEST(MemoryPlan, KeysAndValuesOfBothPasses) {
  const Model model = random_model(kShape, 1);
  const MemoryPlan plan = memory_plan(model, 3, kGuided, all_blocks({}), false);
  EXPECT_EQ(plan.cache, int64_t{3} * 2 * 3 * 2 * 256 * 128 * 4) << "L, k and v, N, passes, T, C";
  EXPECT_EQ(plan.gradient, 0);
}

TEST(MemoryPlan, HalvesUntilItFits) {
  const Model model = random_model(kShape, 1);
  const auto within = [&](int64_t bytes) {
    return images_within(bytes, 20, model, kGuided, all_blocks({}), false);
  };
  const auto needed = [&](int64_t images) {
    return memory_plan(model, images, kGuided, all_blocks({}), false).working();
  };
  EXPECT_EQ(within(needed(20)), 20);
  EXPECT_EQ(within(needed(20) - 1), 10);
  EXPECT_EQ(within(needed(5)), 5);
  EXPECT_EQ(within(0), 1);
}

}  // namespace
}  // namespace tarflow
