#include "framework/sampling/invert.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#ifdef TARFLOW_HAVE_RAPIDCHECK
#include <rapidcheck/gtest.h>
#endif

#include "framework/core/error.h"
#include "tests/support/linear_flow.h"

namespace tarflow {
namespace {

at::Tensor some_z(const ModelShape& shape, int64_t count, uint64_t seed = 11) {
  return normal_noise(seed, 0, count, shape.tokens(), shape.token_width(), at::kCPU);
}

struct Inverted {
  at::Tensor x;
  BlockWork work;
};

Inverted invert(const Model& model, int block, const BlockStrategy& plan, const at::Tensor& z,
                const Labels& labels, const Guidance& guidance = {}) {
  const auto evaluator = make_evaluator(model, z.size(0), guidance);
  evaluator->begin(block, labels);
  Inverted result;
  result.x = invert_block(*evaluator, plan, z, {guidance.cfg, {}}, &result.work);
  return result;
}

BlockStrategy jacobi(int iterations, Guess guess = Guess::kZ) {
  return {1, iterations, guess, 0, StopRule::kNone, 0};
}
BlockStrategy gs(int segments, int iterations) {
  return {segments, iterations, Guess::kZ, 0, StopRule::kNone, 0};
}

double largest(const at::Tensor& difference) { return difference.abs().max().item<double>(); }

TEST(SegmentsTest, CoverEveryInputOnce) {
  for (const int64_t tokens : {2, 5, 16, 64, 256}) {
    for (int count = 2; count <= tokens; ++count) {
      int64_t next = 0;
      for (const Segment& segment : segments(tokens, count)) {
        EXPECT_EQ(segment.first, next);
        EXPECT_LT(segment.first, segment.last);
        next = segment.last;
      }
      EXPECT_EQ(next, tokens - 1) << "the last token is never an input";
    }
  }
  EXPECT_EQ(segments(64, 8)[1], (Segment{8, 16}));
  EXPECT_EQ(segments(10, 4)[1], (Segment{2, 5}));  // floor(iT/G)
}

TEST(InvertTest, SequentialSolvesTheLinearFlow) {
  const LinearFlow flow = linear_flow(kSmallShape, 1);
  const at::Tensor z = some_z(kSmallShape, 3);
  const Inverted result = invert(flow.model, 1, BlockStrategy{}, z, {0, 1, 2});
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
  const at::Tensor solution = invert(model, 1, BlockStrategy{}, z, {0, 3}, guidance).x;
  for (const BlockStrategy& plan :
       {jacobi(15), gs(4, 4), gs(3, 6), gs(8, 2), gs(16, 1), gs(5, 99)}) {
    EXPECT_LT(largest(invert(model, 1, plan, z, {0, 3}, guidance).x - solution), 2e-5)
        << plan.segments;
  }
}

TEST(InvertTest, PublishedStopEndsTheIteration) {
  const Model model = random_model(kSmallShape, 5);
  const at::Tensor z = some_z(kSmallShape, 2);
  BlockStrategy plan = jacobi(500);
  plan.stop = StopRule::kPublished;
  plan.stop_threshold = kPublishedStop;
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
  BlockStrategy plan = jacobi(1);
  plan.stop = StopRule::kPublished;
  plan.stop_threshold = 1e-9;
  const Inverted result = invert(flow.model, 0, plan, z, {0, 0, 0});
  const double expected = (result.x - z).norm().item<double>() / (3 * kSmallShape.token_width());
  EXPECT_NEAR(result.work.residuals.at(0), expected, 1e-6 * expected);
}

TEST(InvertTest, ClampHoldsTheFirstTokenInJacobiOnly) {
  const Model model = random_model(kSmallShape, 7);
  const at::Tensor z = some_z(kSmallShape, 2) * 2;
  BlockStrategy plan = jacobi(3);
  plan.clamp = 1.5;
  const at::Tensor all = invert(model, 0, plan, z, {0, 1}).x;
  EXPECT_LE(largest(all), 1.5);
  plan.segments = 4;
  const at::Tensor segmented = invert(model, 0, plan, z, {0, 1}).x;
  EXPECT_TRUE(at::equal(segmented.select(1, 0), z.select(1, 0)));
  EXPECT_LE(largest(segmented.slice(1, 1)), 1.5);
  plan.segments = 0;
  EXPECT_GT(largest(invert(model, 0, plan, z, {0, 1}).x), 1.5) << "sequential never clamps";
}

// Passes everything on, but never leaves out tokens that are final.
class Unskipping final : public Evaluator {
 public:
  explicit Unskipping(std::unique_ptr<Evaluator> inner) : inner_(std::move(inner)) {}
  void begin(int block, const Labels& labels) override { inner_->begin(block, labels); }
  at::Tensor evaluate(const at::Tensor& x, int64_t first, int64_t last) override {
    return inner_->evaluate(x, first, last);
  }
  bool skips_final_tokens(int64_t) const override { return false; }

 private:
  std::unique_ptr<Evaluator> inner_;
};

TEST(InvertTest, LeavingOutFinalTokensChangesNothing) {
  const Model model = random_model(kSmallShape, 8);
  const at::Tensor z = some_z(kSmallShape, 2) * 2;
  for (BlockStrategy plan : {jacobi(6), jacobi(6, Guess::kZero), gs(4, 3), gs(2, 5)}) {
    for (const double clamp : {0.0, 1.0}) {
      plan.clamp = clamp;
      Unskipping evaluator(make_evaluator(model, 2, {1, 1}));
      evaluator.begin(1, {1, 2});
      BlockWork full;
      const at::Tensor expected = invert_block(evaluator, plan, z, {1, {}}, &full);
      const Inverted got = invert(model, 1, plan, z, {1, 2}, {1, 1});
      EXPECT_LT(largest(got.x - expected), 1e-5) << plan.segments << " segments, clamp " << clamp;
      EXPECT_LT(got.work.token_evaluations, full.token_evaluations);
    }
  }
}

TEST(InvertTest, MoreSegmentsThanTokensAreRefused) {
  const Model model = random_model(kSmallShape, 9);
  EXPECT_THROW(invert(model, 0, gs(17, 1), some_z(kSmallShape, 1), {0}), Error);
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
  const at::Tensor solution = invert(model, 2, BlockStrategy{}, z, {4}, {cfg, 1}).x;
  BlockStrategy plan = gs(count, (tokens + count - 1) / count);
  plan.guess = guess;
  if (count == 1) plan.max_iterations = tokens - 1;
  RC_ASSERT(largest(invert(model, 2, plan, z, {4}, {cfg, 1}).x - solution) < 1e-4);
}
#endif

}  // namespace
}  // namespace tarflow
