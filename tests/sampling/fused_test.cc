// The evaluator of fused kernels and graphs against the plain one, on GPUs, and on CPUs by the
// kernels' twins.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/sampling/evaluator.h"
#include "framework/sampling/sampler.h"
#include "framework/sampling/solve.h"
#include "tests/support/evaluate.h"
#include "tests/support/linear_flow.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

struct Case {
  const char* name;
  const char* device;
  ComputeType compute;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class FusedTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (std::string(GetParam().device) == "cuda" && !at::hasCUDA()) GTEST_SKIP() << "no GPU here";
    use_exact_float32();
  }
  at::Device device() const { return device_from(GetParam().device); }
  Model model(uint64_t seed, const ModelShape& shape = kSmallShape) const {
    return random_model(shape, seed, device(), GetParam().compute);
  }
  bool exact() const { return GetParam().compute == ComputeType::kFloat32; }
  at::Tensor noise(const Model& model, int64_t count, uint64_t seed = 4) const {
    return normal_noise(seed, 0, count, model.shape.tokens(), model.shape.token_width(), device());
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
      BlockWork expected_work, work;
      plain->begin(block, {1, 2}, 2);
      const at::Tensor expected = invert_block(*plain, plan, z, {}, &expected_work);
      fused->begin(block, {1, 2}, 2);
      const at::Tensor got = invert_block(*fused, plan, z, {}, &work);
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
      std::vector<at::Tensor> x, next;
      std::vector<BlockWork> work(3);
      for (const int lag : {0, 1, 3}) {
        const auto evaluator = make_fused_evaluator(model, 2, {1, 0.5}, lag);
        evaluator->begin(1, {1, 2}, 2);
        x.push_back(invert_block(*evaluator, plan, z, {}, &work[x.size()]));
        // What lies in the cache; Jacobi leaves nothing there.
        next.push_back(segments > 1 ? evaluated(*evaluator, x[0], 14, 16).clone() : x[0]);
      }
      for (const size_t i : {1, 2}) {
        SCOPED_TRACE(testing::Message() << segments << " segments, " << threshold);
        EXPECT_TRUE(at::equal(x[i], x[0]));
        EXPECT_TRUE(at::equal(next[i], next[0]));
        EXPECT_EQ(work[i].iterations, work[0].iterations);
        EXPECT_EQ(work[i].residuals, work[0].residuals);
        EXPECT_EQ(work[i].token_evaluations, work[0].token_evaluations);
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
  BlockWork expected_work, work;
  plain->begin(1, labels, 40);
  const at::Tensor expected = invert_block(*plain, plan, z, {}, &expected_work);
  fused->begin(1, labels, 40);
  expect_close(invert_block(*fused, plan, z, {}, &work), expected);
  EXPECT_EQ(work.token_evaluations, 128 + 127 + 126 + 127 + 126 + 125);
}

TEST_P(FusedTest, AnObserverSeesEveryIterationAndNoOther) {
  const Model model = this->model(4);
  const at::Tensor z = noise(model, 2);
  const BlockPlan plan = plan_of(1, 12, Guess::kZ, 0, published_stop(1e-3));
  const auto evaluator = make_fused_evaluator(model, 2, {}, 3);
  BlockWork unobserved, work;
  evaluator->begin(0, {1, 2}, 2);
  const at::Tensor expected = invert_block(*evaluator, plan, z, {}, &unobserved);
  std::vector<double> changes;
  const auto observe = [&](const Iteration& iteration) {
    changes.push_back(std::sqrt(iteration.change[0] + iteration.change[1]) /
                      static_cast<double>(2 * z.size(2)));
    EXPECT_EQ(iteration.number, static_cast<int>(changes.size()));
  };
  evaluator->begin(0, {1, 2}, 2);
  EXPECT_TRUE(at::equal(invert_block(*evaluator, plan, z, {observe}, &work), expected));
  EXPECT_EQ(changes, work.residuals);
  EXPECT_EQ(work.residuals, unobserved.residuals);
  EXPECT_LT(work.iterations[0], 12) << "the stop came";
}

INSTANTIATE_TEST_SUITE_P(Devices, FusedTest,
                         testing::Values(Case{"cpu_float32", "cpu", ComputeType::kFloat32},
                                         Case{"cpu_bfloat16", "cpu", ComputeType::kBFloat16},
                                         Case{"cuda_float32", "cuda", ComputeType::kFloat32},
                                         Case{"cuda_bfloat16", "cuda", ComputeType::kBFloat16}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tarflow
