#include "framework/sampling/convergence.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/invert.h"
#include "tests/support/linear_flow.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

constexpr double kRounding = 1e-5;

at::Tensor some_z(int64_t first, int64_t count) {
  return noise_of(kSmallShape, 31, count, at::kCPU, first);
}

std::vector<Curve> new_curves(const BlockPlan& plan) {
  return make_curves(plan, kSmallShape.tokens(), kSmallShape.token_width());
}

// Adds what images do in block 1 of the model.
void follow(const Model& model, const BlockPlan& plan, const at::Tensor& z, const Labels& labels,
            std::vector<Curve>& curves, const Guidance& guidance = {}) {
  const auto evaluator = make_evaluator(model, z.size(0), guidance);
  const at::Tensor solution = inverted(*evaluator, 1, labels, BlockPlan{}, z).x;
  evaluator->begin(1, labels, z.size(0));
  const Followed found = follow_convergence(*evaluator, plan, z, solution);
  ASSERT_EQ(found.squares.size(), curves.size());
  for (size_t i = 0; i < curves.size(); ++i) curves[i].add(found.squares[i]);
}

std::vector<Curve> followed(const Model& model, const BlockPlan& plan, const at::Tensor& z,
                            const Labels& labels, const Guidance& guidance = {}) {
  std::vector<Curve> curves = new_curves(plan);
  follow(model, plan, z, labels, curves, guidance);
  return curves;
}

// The errors of the linear flow are known: e^k_t = A e^(k-1)_(t-1), and e_0 = 0.
TEST(ConvergenceTest, ErrorsOfTheLinearFlowFollowItsMatrix) {
  const LinearFlow flow = linear_flow(kSmallShape, 1);
  const at::Tensor z = some_z(0, 3), solution = flow.solve(z);
  const double n = 3, tokens = kSmallShape.tokens(), width = kSmallShape.token_width();
  for (const Guess guess : {Guess::kZ, Guess::kZero}) {
    const Curve curve = followed(flow.model, plan_of(1, 6, guess), z, {0, 1, 2}).at(0);
    at::Tensor error = solution.clone();
    if (guess == Guess::kZ) error -= z;
    error.select(1, 0).zero_();
    const auto norm = [](const at::Tensor& x) { return x.norm().item<double>(); };
    EXPECT_NEAR(curve.guess_distance(), norm(error) / (n * tokens * width),
                1e-6 * curve.guess_distance());
    for (size_t k = 0; k < 6; ++k) {
      const at::Tensor before = error.clone();
      error.zero_();
      error.slice(1, 1).copy_(at::matmul(before.slice(1, 0, -1), flow.a.t()));
      const double distance = norm(error), change = norm(error - before);
      EXPECT_NEAR(curve.distances()[k] * n * tokens * width, distance, 1e-4 * distance);
      EXPECT_NEAR(curve.relative_distances()[k] * norm(solution), distance, 1e-4 * distance);
      EXPECT_NEAR(curve.residuals()[k] * n * width, change, 1e-4 * change);
      EXPECT_NEAR(curve.error_ratios()[k], distance / change, 1e-3 * distance / change);
    }
  }
}

TEST(ConvergenceTest, JacobiEndsAtTheSequentialSolution) {
  const Model model = random_model(kSmallShape, 2);
  const std::vector<double> distances =
      followed(model, plan_of(1, 15), some_z(0, 2), {0, 3}, {1.5, 0.7}).at(0).relative_distances();
  ASSERT_EQ(distances.size(), 15u);
  EXPECT_GT(distances.front(), 1e-3);
  EXPECT_LT(distances.back(), kRounding) << "token t is final after t iterations";
  for (const double distance : distances) EXPECT_TRUE(std::isfinite(distance));
}

// 16 tokens in 3 segments: 5, 5 and, the last token being no input, 5.
TEST(ConvergenceTest, EverySegmentEndsAtTheSequentialSolution) {
  const LinearFlow flow = linear_flow(kSmallShape, 3);
  const std::vector<Curve> curves = followed(flow.model, plan_of(3, 5), some_z(0, 2), {0, 1});
  ASSERT_EQ(curves.size(), 3u);
  for (const Curve& curve : curves) {
    EXPECT_GT(curve.relative_distances()[3], 1e-4) << "one token is not exact yet";
    EXPECT_LT(curve.relative_distances()[4], kRounding);
  }
}

TEST(ConvergenceTest, ClampLeavesAFloorThatTheResidualDoesNotTell) {
  const Model model = random_model(kSmallShape, 4);
  const at::Tensor z = some_z(0, 2) * 2;
  for (const int segments : {1, 4}) {
    const BlockPlan plan = plan_of(segments, 16, Guess::kZ, 1.5);
    const auto free = followed(model, plan_of(segments, 16), z, {0, 1});
    const auto clamped = followed(model, plan, z, {0, 1});
    for (size_t i = 0; i < clamped.size(); ++i) {
      EXPECT_LT(free[i].relative_distances().back(), kRounding);
      EXPECT_GT(clamped[i].relative_distances().back(), 0.05);
      EXPECT_LT(clamped[i].residuals().back(), 1e-6);
    }
  }
}

TEST(ConvergenceTest, AnyChunkingGivesTheSameCurves) {
  const Model model = random_model(kSmallShape, 5);
  for (const BlockPlan& plan : {plan_of(1, 8), plan_of(4, 4)}) {
    const auto whole = followed(model, plan, some_z(0, 5), {0, 1, 2, 3, 4});
    std::vector<Curve> parts = new_curves(plan);
    follow(model, plan, some_z(0, 2), {0, 1}, parts);
    follow(model, plan, some_z(2, 3), {2, 3, 4}, parts);
    for (size_t i = 0; i < whole.size(); ++i) {
      for (size_t k = 0; k < 3; ++k) {
        EXPECT_NEAR(parts[i].distances()[k], whole[i].distances()[k],
                    1e-5 * whole[i].distances()[k]);
        EXPECT_NEAR(parts[i].residuals()[k], whole[i].residuals()[k],
                    1e-5 * whole[i].residuals()[k]);
      }
    }
  }
}

TEST(ConvergenceTest, WhatIsThrownBetweenIterationsEndsThem) {
  const Model model = random_model(kSmallShape, 6);
  const at::Tensor z = some_z(0, 1);
  const auto evaluator = make_evaluator(model, 1, {});
  evaluator->begin(1, {0}, 1);
  int calls = 0;
  const auto stop = [&] {
    if (++calls == 6) throw 6;
  };
  EXPECT_THROW(follow_convergence(*evaluator, plan_of(4, 4), z, z, stop), int);
  EXPECT_EQ(calls, 6);
}

TEST(SettledTest, CountsFromTheLastValueThatIsNotBelow) {
  EXPECT_EQ(settled_below({5, 0.5, 3, 0.5, 0.1}, 1), 4);
  EXPECT_EQ(settled_below({0.5, 0.1}, 1), 1);
  EXPECT_EQ(settled_below({0.5, 2}, 1), std::nullopt);
  EXPECT_EQ(settled_below({0.1, NAN, 0.1}, 1), 3);
  EXPECT_EQ(settled_below({0.1, NAN}, 1), std::nullopt);
}

// What an observer is told, beside what the inversion returns.
TEST(ObserverTest, SeesEveryIterationOfEverySegment) {
  const Model model = random_model(kSmallShape, 7);
  const at::Tensor z = some_z(0, 3);
  const auto evaluator = make_evaluator(model, 3, {});
  std::vector<std::pair<int, int>> seen;
  std::vector<double> norms;
  at::Tensor last;
  const SolveOptions options{[&](const Iteration& iteration) {
    seen.emplace_back(iteration.segment, iteration.number);
    double sum = 0;
    for (int i = 0; i < 3; ++i) sum += iteration.change[i];
    norms.push_back(std::sqrt(sum) / (3 * kSmallShape.token_width()));
    last = iteration.x.clone();
  }};
  const Inverted got = inverted(*evaluator, 0, {0, 1, 2}, plan_of(2, 3), z, options);
  EXPECT_EQ(seen,
            (std::vector<std::pair<int, int>>{{0, 1}, {0, 2}, {0, 3}, {1, 1}, {1, 2}, {1, 3}}));
  EXPECT_EQ(norms, got.work.residuals);
  EXPECT_TRUE(at::equal(last, got.x));
}

}  // namespace
}  // namespace tarflow
