// The evaluator of fused kernels and graphs against the plain one, on GPUs, and on CPUs by the
// kernels' twins.
#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>

#include "framework/sampling/evaluator.h"
#include "framework/sampling/sampler.h"
#include "framework/tensor/memory.h"
#include "tests/support/devices.h"
#include "tests/support/evaluate.h"
#include "tests/support/invert.h"
#include "tests/support/linear_flow.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

class FusedTest : public testing::TestWithParam<DeviceCase> {
 protected:
  void SetUp() override {
    skip_without(GetParam().device);
    use_exact_float32();
  }
  at::Device device() const { return device_from(GetParam().device); }
  Model model(uint64_t seed, const ModelShape& shape = kSmallShape) const {
    return random_model(shape, seed, device(), GetParam().compute);
  }
  bool exact() const { return GetParam().compute == ComputeType::kFloat32; }
  at::Tensor noise(const Model& model, int64_t count, uint64_t seed = 4) const {
    return noise_of(model.shape, seed, count, device());
  }

  void expect_close(const at::Tensor& got, const at::Tensor& expected) const {
    const at::Tensor reference = expected.to(at::kDouble);
    const double error =
        ((got.to(at::kDouble) - reference).norm() / reference.norm()).item<double>();
    EXPECT_LT(error, exact() ? 1e-5 : 2e-2);  // not-a-number is not below
  }
};

// 256 tokens: enough for full passes by cuDNN and for a split of the keys.
constexpr ModelShape kManyTokens{.image_size = 32,
                                 .patch_size = 2,
                                 .channels = 128,
                                 .blocks = 2,
                                 .layers = 2,
                                 .classes = 3,
                                 .noise_std = 0.1};

TEST_P(FusedTest, RangesAgreeWithThePlainEvaluator) {
  for (const ModelShape& shape : {kSmallShape, kManyTokens}) {
    const Model model = this->model(1, shape);
    const at::Tensor x = noise(model, 3);
    const int64_t tokens = shape.tokens();
    for (const Guidance& guidance : {Guidance{}, Guidance{1, 1}, Guidance{1, 0.4}}) {
      const auto fused = make_fused_evaluator(model, 3, guidance),
                 plain = make_tensor_evaluator(model, 3, guidance);
      for (const int block : {0, 1}) {
        fused->begin(block, {0, -1, 2}, 3);
        plain->begin(block, {0, -1, 2}, 3);
        for (const auto& [first, last] : {std::pair<int64_t, int64_t>{0, 6},
                                          {6, 7},
                                          {7, tokens - 1},
                                          {4, 12},
                                          {12, 13},
                                          {0, 1},
                                          {1, 2},
                                          {0, tokens - 1},
                                          {tokens - 1, tokens}}) {
          SCOPED_TRACE(testing::Message() << tokens << " tokens, block " << block << ": " << first);
          expect_close(evaluated(*fused, x, first, last), evaluated(*plain, x, first, last));
        }
      }
    }
  }
}

// Each kind of work three times over two blocks: as it stands, recorded, and replayed.
TEST_P(FusedTest, InversionsAgreeWithThePlainEvaluator) {
  const Model model = this->model(2, kManyTokens);
  for (const BlockPlan& plan : {plan_of(0), plan_of(1, 4, Guess::kZ, 1.5),
                                plan_of(1, 4, Guess::kZero, 0, published_stop(0)),
                                plan_of(5, 3, Guess::kZero, 3, published_stop())}) {
    const auto fused = make_fused_evaluator(model, 2, {0.5, 0.8}),
               plain = make_tensor_evaluator(model, 2, {0.5, 0.8});
    for (const int block : {0, 1, 0}) {
      const at::Tensor z = noise(model, 2, static_cast<uint64_t>(5 + block));
      const auto [expected, expected_work] = inverted(*plain, block, {1, 2}, plan, z);
      const auto [got, work] = inverted(*fused, block, {1, 2}, plan, z);
      SCOPED_TRACE(testing::Message() << describe({"", {plan}}) << ", block " << block);
      expect_close(got, expected);
      EXPECT_EQ(work.iterations, expected_work.iterations);
      EXPECT_GE(work.token_evaluations, expected_work.token_evaluations);  // it skips no tokens
      if (plan.sequential()) {
        EXPECT_EQ(work.token_evaluations, expected_work.token_evaluations);
      }
      ASSERT_EQ(work.residuals.size(), expected_work.residuals.size());
      for (size_t i = 0; i < work.residuals.size(); ++i) {
        const double reference = expected_work.residuals[i];
        EXPECT_NEAR(work.residuals[i], reference,
                    exact() ? 1e-4 * reference + 1e-7 : 0.1 * reference + 1e-4);
      }
    }
  }
}

// The stop may be learned of late: nothing that is recorded or left behind tells.
TEST_P(FusedTest, AStopThatIsKnownLateChangesNothing) {
  const Model model = this->model(3);
  const at::Tensor z = noise(model, 2);
  for (const int segments : {1, 4}) {
    for (const double threshold : {1e-2, 1e-3, 1e-9}) {
      const BlockPlan plan = plan_of(segments, 9, Guess::kZ, 3, published_stop(threshold));
      std::vector<Inverted> got;
      std::vector<at::Tensor> next;
      for (const int lag : {0, 1, 3}) {
        const auto evaluator = make_fused_evaluator(model, 2, {1, 0.5}, lag);
        got.push_back(inverted(*evaluator, 1, {1, 2}, plan, z));
        // An evaluation over the cache. Jacobi leaves nothing there.
        next.push_back(segments > 1 ? evaluated(*evaluator, got[0].x, 14, 16).clone() : got[0].x);
      }
      for (const size_t i : {1, 2}) {
        SCOPED_TRACE(testing::Message() << segments << " segments, " << threshold);
        EXPECT_TRUE(at::equal(got[i].x, got[0].x));
        EXPECT_TRUE(at::equal(next[i], next[0]));
        EXPECT_EQ(got[i].work.iterations, got[0].work.iterations);
        EXPECT_EQ(got[i].work.residuals, got[0].work.residuals);
        EXPECT_EQ(got[i].work.token_evaluations, got[0].work.token_evaluations);
      }
    }
  }
}

// So many rows that final tokens are left out, as the plain evaluator leaves them out on a CPU.
TEST_P(FusedTest, ManyImagesLeaveFinalTokensOut) {
  const Model model = this->model(6, kManyTokens);
  const BlockPlan plan = plan_of(2, 3, Guess::kZero, 3);
  const at::Tensor z = noise(model, 40);
  const auto fused = make_fused_evaluator(model, 40, {1, 0.5}),
             plain = make_tensor_evaluator(model, 40, {1, 0.5});
  const Labels labels(40, 1);
  const Inverted got = inverted(*fused, 1, labels, plan, z);
  expect_close(got.x, inverted(*plain, 1, labels, plan, z).x);
  EXPECT_EQ(got.work.token_evaluations, 128 + 127 + 126 + 127 + 126 + 125);
}

TEST_P(FusedTest, AnObserverSeesEveryIterationAndNoOther) {
  const Model model = this->model(4);
  const at::Tensor z = noise(model, 2);
  const BlockPlan plan = plan_of(1, 12, Guess::kZ, 0, published_stop(1e-3));
  const auto evaluator = make_fused_evaluator(model, 2, {}, 3);
  const Inverted unobserved = inverted(*evaluator, 0, {1, 2}, plan, z);
  std::vector<double> changes;
  const auto observe = [&](const Iteration& iteration) {
    changes.push_back(std::sqrt(iteration.change[0] + iteration.change[1]) /
                      static_cast<double>(2 * z.size(2)));
    EXPECT_EQ(iteration.number, static_cast<int>(changes.size()));
  };
  const Inverted observed = inverted(*evaluator, 0, {1, 2}, plan, z, {observe});
  EXPECT_TRUE(at::equal(observed.x, unobserved.x));
  EXPECT_EQ(changes, observed.work.residuals);
  EXPECT_EQ(observed.work.residuals, unobserved.work.residuals);
  EXPECT_LT(observed.work.iterations[0], 12) << "the stop came";
}

// The host learns late of the front, and on a GPU graphs of windows of other widths and patterns are
// replayed between each other.
TEST_P(FusedTest, WindowsOfAllWidthsShareAnEvaluator) {
  const Model model = this->model(11);
  const int64_t tokens = model.shape.tokens();
  const at::Tensor z = noise(model, 2);
  const auto evaluator = make_fused_evaluator(model, 2, {1, 1}, 1);
  const Inverted exact = inverted(*evaluator, 0, {1, 2}, BlockPlan{Sequential{}}, z);
  constexpr double kTiny = 1e-6;
  for (int round = 0; round < 3; ++round) {
    for (const Window& window :
         {Window{8, kTiny, WindowGuess::kUp, 3, "HF"}, Window{1, kTiny, WindowGuess::kUp, 3, "HF"},
          Window{8, kTiny, WindowGuess::kUp, 3, "F"}, Window{15, kTiny, WindowGuess::kZ, 3, "HF"},
          Window{8, kTiny, WindowGuess::kUp, 3, "HHF"}}) {
      SCOPED_TRACE(describe({"", {{window}}}));
      const Inverted result = inverted(*evaluator, 0, {1, 2}, BlockPlan{window}, z);
      expect_close(result.x, exact.x);
      ASSERT_FALSE(result.work.fronts.empty());
      EXPECT_EQ(result.work.fronts.back(), tokens - 1);
      EXPECT_EQ(result.work.kinds.find('H') != std::string::npos,
                window.width > 1 && window.pattern != "F");
      EXPECT_GE(result.work.token_evaluations, static_cast<double>(tokens - 1));
      if (window.width == 1) {
        EXPECT_EQ(result.work.kinds, std::string(static_cast<size_t>(tokens - 1), 'F'));
      }
    }
  }
}

// Counts the matrix products that this thread asks LibTorch for.
class ProductCounter {
 public:
  ProductCounter() : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(count))) {
    products_ = 0;
  }
  ~ProductCounter() { at::removeCallback(handle_); }
  ProductCounter(const ProductCounter&) = delete;
  ProductCounter& operator=(const ProductCounter&) = delete;

  static int64_t products() { return products_; }

 private:
  static std::unique_ptr<at::ObserverContext> count(const at::RecordFunction& function) {
    for (const char* name : {"aten::mm", "aten::addmm", "aten::_addmm_activation"})
      products_ += std::strcmp(function.name(), name) == 0;
    return nullptr;
  }

  static std::atomic<int64_t> products_;
  at::CallbackHandle handle_;
};
std::atomic<int64_t> ProductCounter::products_ = 0;

// On a GPU the host asks for products to do the work once and to record it once; after that the
// record is replayed. On a CPU it asks for them every time.
TEST_P(FusedTest, WhatIsRecordedIsReplayed) {
  const Model model = this->model(7);
  const int64_t tokens = model.shape.tokens();
  const at::Tensor z = noise(model, 2);
  const auto evaluator = make_fused_evaluator(model, 2, {1, 1});
  evaluator->begin(0, {1, 2}, 2);
  const auto products_of = [&](const BlockPlan& plan) {
    const ProductCounter counter;
    BlockWork work;
    invert_block(*evaluator, plan, z, {}, &work);
    return counter.products();
  };
  int64_t evaluation = 0;
  {
    const ProductCounter counter;
    evaluated(*evaluator, z, 0, tokens - 1);
    evaluation = counter.products();
  }
  ASSERT_GT(evaluation, 0);
  const bool records = model.device.is_cuda();
  EXPECT_EQ(products_of({}), (records ? 2 : tokens - 1) * evaluation);
  const BlockPlan jacobi = plan_of(1, 6);
  EXPECT_EQ(products_of(jacobi), (records ? 2 : 6) * evaluation);
  EXPECT_EQ(products_of(jacobi), (records ? 0 : 6) * evaluation);
}

// Work space that a library keeps for a stream would grow with the evaluators.
TEST_P(FusedTest, EvaluatorsLeaveNoMemoryBehind) {
  const Model model = this->model(8);
  if (!model.device.is_cuda()) GTEST_SKIP() << "the memory of a GPU is counted";
  const at::Tensor z = noise(model, 2);
  const auto sample = [&] {
    const auto evaluator = make_fused_evaluator(model, 2, {1, 0.5});
    inverted(*evaluator, 0, {1, 2}, plan_of(1, 4), z);
    synchronize(model.device);
  };
  const auto available = [&] {
    release_unused_memory(model.device);
    return free_memory(model.device).value();
  };
  for (int i = 0; i < 3; ++i) sample();
  const int64_t before = available();
  for (int i = 0; i < 40; ++i) sample();
  EXPECT_LT(before - available(), int64_t{16} << 20);
}

// In bf16, token by token: no token is further from fp32 than the plain evaluator's rounding
// explains.
TEST_P(FusedTest, NoTokenIsFurtherFromFloat32ThanThePlainEvaluators) {
  if (exact()) GTEST_SKIP() << "float32 is compared by the other tests";
  const ModelShape& shape = kManyTokens;
  const Model model = this->model(9, shape),
              full = random_model(shape, 9, device(), ComputeType::kFloat32);
  const Guidance guidance{1, 0.3};
  const int64_t images = 3, tokens = shape.tokens();
  const Labels labels{0, 1, 2};
  const at::Tensor x = noise(model, images);
  const auto fused = make_fused_evaluator(model, images, guidance),
             plain = make_tensor_evaluator(model, images, guidance),
             reference = make_tensor_evaluator(full, images, guidance);
  for (Evaluator* evaluator : {fused.get(), plain.get(), reference.get()})
    evaluator->begin(1, labels, images);
  // (B, n): each token's relative error.
  const auto errors = [](const at::Tensor& got, const at::Tensor& want) {
    const at::Tensor error = (got.to(at::kDouble) - want.to(at::kDouble)).norm(2, {2});
    return error / want.to(at::kDouble).norm(2, {2});
  };
  for (const auto& [first, last] : {std::pair<int64_t, int64_t>{0, tokens - 1},
                                    {0, 40},
                                    {40, 100},
                                    {100, 101},
                                    {101, tokens - 1},
                                    {tokens - 2, tokens - 1}}) {
    SCOPED_TRACE(testing::Message() << first << " to " << last);
    const at::Tensor want = evaluated(*reference, x, first, last);
    const at::Tensor mine = errors(evaluated(*fused, x, first, last), want),
                     theirs = errors(evaluated(*plain, x, first, last), want);
    EXPECT_LT(mine.mean().item<double>(), 1.3 * theirs.mean().item<double>());
    EXPECT_LT(mine.max().item<double>(), 2 * theirs.max().item<double>());
  }
}

// The same rounding whether tokens are evaluated one by one or all at once: Jacobi's solution in
// bf16 is as near to the sequential one as bf16 is to fp32, also where a temperature makes
// attention sharp.
TEST_P(FusedTest, JacobiAfterAllIterationsIsSequentialSampling) {
  const auto sharp = [&](ComputeType compute) {
    Model model = random_model(kSmallShape, 10, device(), compute);
    for (BlockWeights& block : model.blocks) {
      for (LayerWeights& layer : block.layers)
        layer.qkv_weight.slice(0, 0, kSmallShape.channels).mul_(3);  // queries
    }
    return model;
  };
  const Model model = sharp(GetParam().compute), full = sharp(ComputeType::kFloat32);
  const Guidance guidance{1, 0.3};
  const int images = 4, iterations = static_cast<int>(kSmallShape.tokens()) - 1;
  const at::Tensor z = noise(model, images);
  const auto solve = [&](const Model& of, const BlockPlan& plan) {
    const auto evaluator = make_fused_evaluator(of, images, guidance);
    return inverted(*evaluator, 0, {0, 1, 2, 3}, plan, z).x.to(at::kDouble);
  };
  const at::Tensor sequential = solve(model, {}), jacobi = solve(model, plan_of(1, iterations)),
                   want = solve(full, {});
  const auto apart = [&](const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).norm() / want.norm()).item<double>();
  };
  const double rounding = exact() ? 1e-5 : apart(sequential, want);
  EXPECT_LT(apart(jacobi, sequential), 2 * rounding);  // each of the two has its own rounding
  EXPECT_LT(rounding, 3e-2);
}

INSTANTIATE_TEST_SUITE_P(Devices, FusedTest,
                         testing::Values(DeviceCase{"cpu_float32", "cpu", ComputeType::kFloat32},
                                         DeviceCase{"cpu_bfloat16", "cpu", ComputeType::kBFloat16},
                                         DeviceCase{"cuda_float32", "cuda", ComputeType::kFloat32},
                                         DeviceCase{"cuda_bfloat16", "cuda",
                                                    ComputeType::kBFloat16}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tarflow
