// Anderson acceleration as a solver of its own: the seam takes a method in one file.
// x_{k+1} = sum_j alpha_j F(x_j) over the last m + 1 iterates, with the weights that make
// |sum_j alpha_j (F(x_j) - x_j)| smallest and sum to 1, for each image (Walker and Ni 2011, type
// II). The last iteration is plain: x = F(x).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "framework/sampling/solve.h"
#include "tests/support/invert.h"
#include "tests/support/linear_flow.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

class AndersonSolver final : public Solver {
 public:
  AndersonSolver(const Inversion& inversion, int pairs, int iterations)
      : evaluator_(inversion.evaluator),
        pairs_(pairs),
        iterations_(iterations),
        inputs_(inversion.tokens() - 1) {
    Iterate& iterate = inversion.iterate();
    const int64_t t = iterate.z.size(1), d = iterate.z.size(2), slots = pairs + 1;
    next_ = inversion.workspace().rows("anderson_next", {t, d}, at::kFloat);
    values_ = inversion.workspace().rows("anderson_values", {slots, t, d}, at::kFloat);
    changes_ = inversion.workspace().rows("anderson_changes", {slots, t, d}, at::kFloat);
    next_.copy_(iterate.z);
    iterate.x.copy_(iterate.z);
  }

  std::optional<Step> next() override {
    if (given_ == iterations_) return std::nullopt;
    Step step;
    step.width = inputs_;
    step.range = {0, inputs_};
    step.iteration = ++given_;
    return step;
  }

  void update(Iterate& iterate, const Outputs& outputs, const Step& step) override {
    kernels::GuidedUpdate update = update_of(evaluator_, iterate, outputs, step);
    update.out = next_;  // F(x), apart from x
    kernels::guided_update(update);
    const int64_t slots = pairs_ + 1, slot = (step.iteration - 1) % slots;
    values_.select(1, slot).copy_(next_);
    changes_.select(1, slot).copy_(next_ - iterate.x);
    if (step.iteration == iterations_) return iterate.x.copy_(next_), void();
    iterate.x.copy_(mixed(std::min<int64_t>(step.iteration, slots)));
  }

  std::vector<int64_t> key() const override { return {given_}; }
  std::vector<int> iterations() const override { return {iterations_}; }

 private:
  // Of the slots in use, (N, T, D).
  at::Tensor mixed(int64_t used) const {
    const at::Tensor r = changes_.slice(1, 0, used).flatten(2).to(at::kDouble);  // (N, used, TD)
    at::Tensor gram = at::matmul(r, r.transpose(1, 2));
    const at::Tensor scale = gram.diagonal(0, 1, 2).amax(1).view({-1, 1, 1}).clamp_min(1e-300);
    gram = gram / scale + 1e-10 * at::eye(used, at::kDouble);
    at::Tensor alpha =
        std::get<0>(at::linalg_solve_ex(gram, at::ones({gram.size(0), used, 1}, at::kDouble)));
    alpha = alpha / alpha.sum(1, true);
    const at::Tensor values = values_.slice(1, 0, used).flatten(2).to(at::kDouble);
    return (alpha * values).sum(1).view(next_.sizes()).to(at::kFloat);
  }

  const Evaluator& evaluator_;
  const int pairs_, iterations_;
  const int64_t inputs_;
  int given_ = 0;
  at::Tensor next_, values_, changes_;
};

const Labels kLabels = {0, 2};

at::Tensor some_z() { return noise_of(kSmallShape, 51, 2); }

Inverted anderson(Evaluator& evaluator, int pairs, int iterations) {
  const MakeSolver make = [&](const Inversion& inversion) {
    return std::make_unique<AndersonSolver>(inversion, pairs, iterations);
  };
  return inverted(evaluator, 1, kLabels, make, some_z());
}

at::Tensor by_plan(Evaluator& evaluator, const BlockPlan& plan) {
  return inverted(evaluator, 1, kLabels, plan, some_z()).x;
}

double distance(const at::Tensor& a, const at::Tensor& b) { return (a - b).norm().item<double>(); }

TEST(Anderson, WithoutPairsIsJacobi) {
  const Model model = random_model(kSmallShape, 11);
  for (const auto& evaluator :
       {make_cpu_evaluator(model, 2, {0.5, 1}), make_fused_evaluator(model, 2, {0.5, 1})}) {
    const Inverted plain = anderson(*evaluator, 0, 4);
    EXPECT_LT(distance(plain.x, by_plan(*evaluator, plan_of(1, 4))), 1e-5);
    EXPECT_EQ(plain.work.iterations, std::vector<int>{4});
    EXPECT_DOUBLE_EQ(plain.work.token_evaluations, 4 * (kSmallShape.tokens() - 1));
    EXPECT_EQ(plain.work.longest, kSmallShape.tokens() - 1);
  }
}

TEST(Anderson, ReachesTheSequentialSolution) {
  const Model model = random_model(kSmallShape, 12);
  const auto evaluator = make_cpu_evaluator(model, 2, {0.5, 0.7});
  const at::Tensor solution = by_plan(*evaluator, plan_of(0));
  for (const int pairs : {1, 2, 4})
    EXPECT_LT(distance(anderson(*evaluator, pairs, 40).x, solution), 1e-3) << pairs;
}

TEST(Anderson, ALastIterationIsPlain) {
  const Model model = random_model(kSmallShape, 13);
  const auto evaluator = make_cpu_evaluator(model, 2, {0.5, 0.7});
  EXPECT_TRUE(at::equal(anderson(*evaluator, 3, 1).x, by_plan(*evaluator, plan_of(1, 1))));
  EXPECT_GT(distance(anderson(*evaluator, 3, 4).x, by_plan(*evaluator, plan_of(1, 4))), 1e-5)
      << "those before it are mixed";
}

}  // namespace
}  // namespace tarflow
