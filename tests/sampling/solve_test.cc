#include "framework/sampling/solve.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#ifdef TARFLOW_HAVE_RAPIDCHECK
#include <rapidcheck/gtest.h>
#endif

#include "framework/core/error.h"
#include "tests/support/invert.h"
#include "tests/support/linear_flow.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

at::Tensor some_z(const ModelShape& shape, int64_t count, uint64_t seed = 11) {
  return noise_of(shape, seed, count);
}

Inverted invert(const Model& model, int block, const BlockPlan& plan, const at::Tensor& z,
                const Labels& labels, const Guidance& guidance = {}) {
  return inverted(*make_evaluator(model, z.size(0), guidance), block, labels, plan, z);
}

BlockPlan jacobi(int iterations, Guess guess = Guess::kZ) { return plan_of(1, iterations, guess); }
BlockPlan gs(int segments, int iterations) { return plan_of(segments, iterations); }

double largest(const at::Tensor& difference) { return difference.abs().max().item<double>(); }

TEST(InvertTest, SequentialSolvesTheLinearFlow) {
  const LinearFlow flow = linear_flow(kSmallShape, 1);
  const at::Tensor z = some_z(kSmallShape, 3);
  const Inverted result = invert(flow.model, 1, BlockPlan{}, z, {0, 1, 2});
  EXPECT_LT(largest(result.x - flow.solve(z)), 1e-5);
  EXPECT_EQ(result.work.token_evaluations, kSmallShape.tokens() - 1);
}

TEST(InvertTest, JacobiHasTokenTExactAfterTIterations) {
  const LinearFlow flow = linear_flow(kSmallShape, 2);
  const at::Tensor z = some_z(kSmallShape, 2), solution = flow.solve(z);
  for (const Guess guess : {Guess::kZ, Guess::kZero}) {
    for (const int iterations : {1, 2, 5, 9}) {
      const at::Tensor x = invert(flow.model, 0, jacobi(iterations, guess), z, {0, 0}).x;
      EXPECT_LT(largest((x - solution).slice(1, 0, iterations + 1)), 1e-5);
      EXPECT_GT(largest((x - solution).slice(1, iterations + 1, iterations + 2)), 1e-4)
          << "one token more is not exact yet";
    }
  }
}

TEST(InvertTest, JacobiFollowsItsNeumannSeries) {
  // x^k = sum over j <= k of A^j shifted z (b = 0): the iterate itself, not only its limit.
  LinearFlow flow = linear_flow(kSmallShape, 3);
  flow.b.zero_();
  for (BlockWeights& block : flow.model.blocks) block.proj_out_bias.zero_();
  const at::Tensor z = some_z(kSmallShape, 1);
  at::Tensor expected = z.clone();
  for (int k = 0; k < 3; ++k) {
    at::Tensor next = z.clone();
    next.slice(1, 1).add_(at::matmul(expected.slice(1, 0, -1), flow.a.t()));
    expected = next;
  }
  EXPECT_LT(largest(invert(flow.model, 0, jacobi(3), z, {1}).x - expected), 1e-5);
}

TEST(InvertTest, EveryPlanReachesTheSequentialSolution) {
  const Model model = random_model(kSmallShape, 4);
  const at::Tensor z = some_z(kSmallShape, 2);
  const Guidance guidance{1.5, 0.7};
  const at::Tensor solution = invert(model, 1, BlockPlan{}, z, {0, 3}, guidance).x;
  for (const BlockPlan& plan : {jacobi(15), gs(4, 4), gs(3, 6), gs(8, 2), gs(16, 1), gs(5, 99)}) {
    EXPECT_LT(largest(invert(model, 1, plan, z, {0, 3}, guidance).x - solution), 2e-5)
        << describe({"", {plan}});
  }
}

TEST(InvertTest, PublishedStopEndsTheIteration) {
  const Model model = random_model(kSmallShape, 5);
  const at::Tensor z = some_z(kSmallShape, 2);
  const BlockPlan plan = plan_of(1, 500, Guess::kZ, 0, published_stop());
  const Inverted result = invert(model, 0, plan, z, {0, 1});
  ASSERT_EQ(result.work.iterations.size(), 1u);
  EXPECT_LE(result.work.iterations[0], kSmallShape.tokens());
  ASSERT_EQ(result.work.residuals.size(), static_cast<size_t>(result.work.iterations[0]));
  EXPECT_LE(result.work.residuals.back(), kPublishedStop);
  for (size_t i = 0; i + 1 < result.work.residuals.size(); ++i)
    EXPECT_GT(result.work.residuals[i], kPublishedStop);
}

TEST(InvertTest, ResidualIsThePublishedNorm) {
  const LinearFlow flow = linear_flow(kSmallShape, 6);
  const at::Tensor z = some_z(kSmallShape, 3);
  const BlockPlan plan = plan_of(1, 1, Guess::kZ, 0, published_stop(1e-9));
  const Inverted result = invert(flow.model, 0, plan, z, {0, 0, 0});
  const double expected = (result.x - z).norm().item<double>() / (3 * kSmallShape.token_width());
  EXPECT_NEAR(result.work.residuals.at(0), expected, 1e-6 * expected);
}

TEST(InvertTest, ClampHoldsTheFirstTokenInJacobiOnly) {
  const Model model = random_model(kSmallShape, 7);
  const at::Tensor z = some_z(kSmallShape, 2) * 2;
  const at::Tensor all = invert(model, 0, plan_of(1, 3, Guess::kZ, 1.5), z, {0, 1}).x;
  EXPECT_LE(largest(all), 1.5);
  const at::Tensor segmented = invert(model, 0, plan_of(4, 3, Guess::kZ, 1.5), z, {0, 1}).x;
  EXPECT_TRUE(at::equal(segmented.select(1, 0), z.select(1, 0)));
  EXPECT_LE(largest(segmented.slice(1, 1)), 1.5);
  EXPECT_GT(largest(invert(model, 0, plan_of(0), z, {0, 1}).x), 1.5) << "sequential never clamps";
}

// Passes everything on, but never leaves out tokens that are final.
class Unskipping final : public Evaluator {
 public:
  explicit Unskipping(std::unique_ptr<Evaluator> inner)
      : Evaluator(inner->model(), inner->capacity(), inner->guidance()), inner_(std::move(inner)) {}
  bool skips_final_tokens(int64_t) const override { return false; }

 private:
  void turn_to(int block, const Labels& labels) override { inner_->begin(block, labels, images()); }
  at::Tensor outputs_of(const at::Tensor& x, const Step& step) override {
    const Outputs outputs = inner_->evaluate(x, step);
    return at::cat({outputs.conditional, outputs.unconditional});
  }

  std::unique_ptr<Evaluator> inner_;
};

TEST(InvertTest, LeavingOutFinalTokensChangesNothing) {
  const Model model = random_model(kSmallShape, 8);
  const at::Tensor z = some_z(kSmallShape, 2) * 2;
  for (const double clamp : {0.0, 1.0}) {
    for (const BlockPlan& plan :
         {plan_of(1, 6, Guess::kZ, clamp), plan_of(1, 6, Guess::kZero, clamp),
          plan_of(4, 3, Guess::kZ, clamp), plan_of(2, 5, Guess::kZ, clamp)}) {
      Unskipping evaluator(make_evaluator(model, 2, {1, 1}));
      const Inverted full = inverted(evaluator, 1, {1, 2}, plan, z),
                     got = invert(model, 1, plan, z, {1, 2}, {1, 1});
      EXPECT_LT(largest(got.x - full.x), 1e-5) << describe({"", {plan}});
      EXPECT_LT(got.work.token_evaluations, full.work.token_evaluations);
    }
  }
}

TEST(InvertTest, MoreSegmentsThanTokensAreRefused) {
  const Model model = random_model(kSmallShape, 9);
  EXPECT_THROW(invert(model, 0, gs(17, 1), some_z(kSmallShape, 1), {0}), Error);
}

TEST(InvertTest, AModelOfOneTokenIsItsLatent) {
  ModelShape shape = kSmallShape;
  shape.image_size = 2;  // one patch
  ASSERT_EQ(shape.tokens(), 1);
  const Model model = random_model(shape, 10);
  const at::Tensor z = some_z(shape, 3);
  for (const BlockPlan& plan : {plan_of(0), jacobi(4), plan_of(1, 4, Guess::kZero),
                                BlockPlan{Segments{{4}, SegmentLength{8}}}}) {
    const Inverted result = invert(model, 1, plan, z, {0, 1, 2}, {1, 0.5});
    EXPECT_TRUE(at::equal(result.x, z)) << describe({"", {plan}});
    EXPECT_EQ(result.work.token_evaluations, 0);
  }
  EXPECT_LE(largest(invert(model, 1, plan_of(1, 4, Guess::kZ, 0.5), z, {0, 1, 2}).x), 0.5)
      << "Jacobi clamps token 0";
}

// One evaluator for all, as a run of batches of any size has it.
TEST(InvertTest, AnEvaluatorServesEveryPlanAndNumberOfImages) {
  const Model model = random_model(kSmallShape, 11);
  const auto shared = make_evaluator(model, 4, {1, 0.5});
  for (const int64_t images : {4, 1, 3, 4}) {
    const at::Tensor z = some_z(kSmallShape, images);
    const Labels labels(static_cast<size_t>(images), 1);
    for (const BlockPlan& plan : {gs(4, 2), plan_of(0), plan_of(1, 3, Guess::kZero, 1.5),
                                  plan_of(1, 9, Guess::kZ, 0, Stop{Norm::kMaxAbs, 0.1})}) {
      const Inverted got = inverted(*shared, 2, labels, plan, z),
                     alone = invert(model, 2, plan, z, labels, {1, 0.5});
      EXPECT_TRUE(at::equal(got.x, alone.x)) << images << " images, " << describe({"", {plan}});
      EXPECT_EQ(got.work.iterations, alone.work.iterations);
    }
  }
}

TEST(InvertTest, WorkIsThatOfTheEvaluations) {
  const Model model = random_model(kSmallShape, 12);
  const at::Tensor z = some_z(kSmallShape, 2);
  const auto evaluator = make_fused_evaluator(model, 2, {1, 0.5});  // leaves no tokens out
  const auto work_of = [&](const BlockPlan& plan) {
    return inverted(*evaluator, 0, {0, 1}, plan, z).work;
  };
  const EvaluationCost once = kSmallShape.evaluation_cost(0, 15, 4, 4);
  const BlockWork all = work_of(jacobi(4));
  EXPECT_DOUBLE_EQ(all.cost.flops(), 4 * once.flops());
  EXPECT_DOUBLE_EQ(all.cost.bytes(), 4 * once.bytes());
  EXPECT_DOUBLE_EQ(all.token_evaluations, 4 * 15);
  EXPECT_EQ(all.longest, 15);
  // Steps see the same keys as one pass and do the same arithmetic, but read the weights each.
  const BlockWork steps = work_of(plan_of(0));
  EXPECT_NEAR(steps.cost.flops() / once.flops(), 1, 1e-12);
  EXPECT_DOUBLE_EQ(steps.cost.weight_bytes, 15 * once.weight_bytes);
  EXPECT_EQ(steps.longest, 1);
  EXPECT_EQ(work_of(gs(4, 2)).longest, 4);
}

#ifdef TARFLOW_HAVE_RAPIDCHECK
// With as many iterations as a segment has tokens every segmentation is exact; with fewer it comes
// closer the more.
RC_GTEST_PROP(InvertProperty, AnySegmentationConverges, ()) {
  static const Model model = random_model(kSmallShape, 10);
  const int tokens = kSmallShape.tokens();
  const int count = *rc::gen::inRange(1, tokens + 1);
  const uint64_t seed = *rc::gen::inRange<uint64_t>(0, 1000);
  const double cfg = *rc::gen::element(0.0, 0.5, 2.0);
  const Guess guess = *rc::gen::element(Guess::kZ, Guess::kZero);
  const at::Tensor z = some_z(kSmallShape, 1, seed);
  const at::Tensor solution = invert(model, 2, BlockPlan{}, z, {4}, {cfg, 1}).x;
  const BlockPlan plan =
      plan_of(count, count == 1 ? tokens - 1 : (tokens + count - 1) / count, guess);
  RC_ASSERT(largest(invert(model, 2, plan, z, {4}, {cfg, 1}).x - solution) < 1e-4);
}
#endif

}  // namespace
}  // namespace tarflow
