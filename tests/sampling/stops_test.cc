// When iterations stop: every norm by its definition, over a chunk and for each image.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <type_traits>

#include "framework/sampling/batch_sampler.h"
#include "framework/sampling/memory_plan.h"
#include "tests/support/invert.h"
#include "tests/support/linear_flow.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

constexpr int64_t kImages = 3;
const Labels kLabels = {0, 3, 1};

// Images of different size, so that they stop at different times.
at::Tensor some_z() {
  return noise_of(kSmallShape, 41, kImages) * at::tensor({0.2f, 1.0f, 2.0f}).view({-1, 1, 1});
}

struct Solved : Inverted {
  std::vector<std::vector<at::Tensor>> iterates;  // by segment, the guess first
};

Solved solve(Evaluator& evaluator, const BlockPlan& plan, const at::Tensor& z, const Labels& labels,
             bool observe = false) {
  Solved solved;
  SolveOptions options;
  at::Tensor before = z.clone();
  if (observe) {
    options.observe = [&](const Iteration& iteration) {
      if (iteration.number == 1) solved.iterates.push_back({before});
      before = iteration.x.clone();
      solved.iterates.back().push_back(before);
    };
  }
  static_cast<Inverted&>(solved) = inverted(evaluator, 1, labels, plan, z, options);
  return solved;
}

// The definition of a norm, of the tokens [first, last) of these images.
double change_of(Norm norm, const at::Tensor& before, const at::Tensor& after, int64_t first,
                 int64_t last) {
  const at::Tensor x = after.slice(1, first, last).to(at::kDouble),
                   change = x - before.slice(1, first, last).to(at::kDouble);
  const auto images = static_cast<double>(x.size(0)), width = static_cast<double>(x.size(2));
  switch (norm) {
    case Norm::kPublished:
      return change.norm().item<double>() / (images * width);
    case Norm::kMaxAbs:
      return change.abs().max().item<double>();
    case Norm::kRelativeMse:
      return (change.square().mean() / x.square().mean()).item<double>();
    case Norm::kTokenRms:
      return change.square().mean(-1).sqrt().max().item<double>();
  }
  return NAN;
}

// The first iteration whose change is at most the threshold, or the last one.
int stop_of_iterates(const std::vector<at::Tensor>& iterates, const Stop& stop, int64_t image,
                     int64_t first, int64_t last) {
  for (size_t k = 1; k < iterates.size(); ++k) {
    const bool all = stop.scope == Scope::kChunk;
    const auto part = [&](const at::Tensor& x) { return all ? x : x.slice(0, image, image + 1); };
    const double change =
        change_of(stop.norm, part(iterates[k - 1]), part(iterates[k]), first, last);
    if (change <= stop.threshold) return static_cast<int>(k);
  }
  return static_cast<int>(iterates.size()) - 1;
}

BlockPlan with_stop(BlockPlan plan, const std::optional<Stop>& stop) {
  std::visit(
      [&](auto& method) {
        if constexpr (std::is_base_of_v<Iterations, std::decay_t<decltype(method)>>)
          method.stop = stop;
      },
      plan.method);
  return plan;
}

// Each evaluator, with the lags that a device may have.
std::vector<std::unique_ptr<Evaluator>> evaluators(const Model& model) {
  const Guidance guidance{0.5, 0.7};
  std::vector<std::unique_ptr<Evaluator>> all;
  all.push_back(make_cpu_evaluator(model, kImages, guidance));
  all.push_back(make_tensor_evaluator(model, kImages, guidance));
  for (const int lag : {0, 1, 3})
    all.push_back(make_fused_evaluator(model, kImages, guidance, lag));
  return all;
}

double threshold_of(Norm norm) {
  return norm == Norm::kPublished ? 2e-3 : norm == Norm::kRelativeMse ? 1e-4 : 5e-2;
}

TEST(Stops, EndJacobiWhereTheirDefinitionSays) {
  const Model model = random_model(kSmallShape, 3);
  const at::Tensor z = some_z();
  const int64_t tokens = kSmallShape.tokens();
  for (const auto& evaluator : evaluators(model)) {
    const BlockPlan free = plan_of(1, 15, Guess::kZ, 1.5);
    const std::vector<at::Tensor> iterates = solve(*evaluator, free, z, kLabels, true).iterates[0];
    for (const std::string& name : norm_names()) {
      for (const Scope scope : {Scope::kChunk, Scope::kImage}) {
        const Norm norm = *norm_from_string(name);
        const Stop stop{norm, threshold_of(norm), scope};
        SCOPED_TRACE(describe({"", {with_stop(free, stop)}}));
        const Solved got = solve(*evaluator, with_stop(free, stop), z, kLabels);
        int most = 0;
        for (int64_t image = 0; image < kImages; ++image) {
          const int k = stop_of_iterates(iterates, stop, image, 0, tokens);
          most = std::max(most, k);
          // An image that has stopped stays as it was.
          EXPECT_TRUE(at::allclose(got.x[image], iterates[static_cast<size_t>(k)][image], 0, 1e-5))
              << "image " << image << " after " << k;
        }
        EXPECT_EQ(got.work.iterations, std::vector<int>{most});
        EXPECT_LT(most, 15) << "the stop came";
        EXPECT_EQ(got.work.residuals.size(), static_cast<size_t>(most));
      }
    }
  }
}

// A segment leaves keys and values of its last evaluation: what an image's later segments read must
// not depend on how long the others go on.
TEST(Stops, AnImageAloneIsTheSameByImage) {
  const Model model = random_model(kSmallShape, 4);
  const at::Tensor z = some_z();
  for (const auto& evaluator : evaluators(model)) {
    for (BlockPlan plan :
         {plan_of(4, 6), plan_of(1, 15, Guess::kZero, 1.5),
          BlockPlan{Segments{{6}, SegmentLength{5}}}, BlockPlan{Segments{{9}, SegmentLength{1}}}}) {
      for (const std::string& name : norm_names()) {
        const Norm norm = *norm_from_string(name);
        plan = with_stop(plan, Stop{norm, threshold_of(norm), Scope::kImage});
        SCOPED_TRACE(describe({"", {plan}}));
        const Solved all = solve(*evaluator, plan, z, kLabels);
        for (int64_t i = 0; i < kImages; ++i) {
          const Solved one =
              solve(*evaluator, plan, z.slice(0, i, i + 1), {kLabels[static_cast<size_t>(i)]});
          EXPECT_TRUE(at::allclose(all.x[i], one.x[0], 0, 1e-5)) << "image " << i;
          for (size_t s = 0; s < one.work.iterations.size(); ++s)
            EXPECT_LE(one.work.iterations[s], all.work.iterations.at(s));
        }
      }
    }
  }
}

TEST(Stops, ByImageAChunkMayBeDivided) {
  const Model model = random_model(kSmallShape, 5);
  SampleOptions options;
  options.guidance = {1.0, 1.0};
  const at::Tensor noise = noise_of(kSmallShape, 8, 7);
  const Labels labels = {0, 1, 2, 3, 4, 0, 1};
  for (const std::string& name : norm_names()) {
    const Norm norm = *norm_from_string(name);
    const Stop stop{norm, threshold_of(norm), Scope::kImage};
    options.strategy = {"", {with_stop(plan_of(4, 4), stop), with_stop(plan_of(1, 15), stop), {}}};
    const SampleResult whole = sample(model, noise, labels, options);
    const MemoryPlan plan = memory_plan(model, 2, options.guidance, options.strategy, false);
    BatchSampler sampler(model, options, {.memory_limit = plan.working()});
    const SampleResult parts = sampler.sample(noise, labels);
    EXPECT_EQ(sampler.micro_batch(), 2);
    EXPECT_TRUE(at::allclose(parts.images, whole.images, 1e-4, 1e-5)) << name;
    for (size_t b = 0; b < 3; ++b)
      EXPECT_EQ(parts.work[b].iterations, whole.work[b].iterations) << name;
  }
}

// A change that is not a number says nothing of the other images.
TEST(Stops, AnImageThatIsNotANumberEndsNoOther) {
  const Model model = random_model(kSmallShape, 6);
  at::Tensor z = some_z();
  z[1].fill_(NAN);
  for (const auto& evaluator : evaluators(model)) {
    for (const Norm norm : {Norm::kMaxAbs, Norm::kRelativeMse, Norm::kTokenRms}) {
      const Solved got =
          solve(*evaluator, plan_of(1, 15, Guess::kZ, 0, Stop{norm, 1e9}), z, kLabels);
      EXPECT_EQ(got.work.iterations, std::vector<int>{15}) << to_string(norm);
      const Solved each = solve(
          *evaluator, plan_of(1, 15, Guess::kZ, 0, Stop{norm, 1e9, Scope::kImage}), z, kLabels);
      EXPECT_TRUE(at::isfinite(each.x[0]).all().item<bool>());
    }
    const Solved published =
        solve(*evaluator, plan_of(1, 15, Guess::kZ, 0, published_stop(1e-9)), z, kLabels);
    EXPECT_EQ(published.work.iterations, std::vector<int>{1}) << "as in the published code";
  }
}

TEST(Stops, AnObserverChangesNothing) {
  const Model model = random_model(kSmallShape, 7);
  const at::Tensor z = some_z();
  const auto evaluator = make_fused_evaluator(model, kImages, {0.5, 1}, 3);
  for (const Scope scope : {Scope::kChunk, Scope::kImage}) {
    const BlockPlan plan = plan_of(4, 4, Guess::kZ, 3, Stop{Norm::kMaxAbs, 0.05, scope});
    const Solved seen = solve(*evaluator, plan, z, kLabels, true),
                 unseen = solve(*evaluator, plan, z, kLabels);
    EXPECT_TRUE(at::equal(seen.x, unseen.x));
    EXPECT_EQ(seen.work.iterations, unseen.work.iterations);
    EXPECT_EQ(seen.work.residuals, unseen.work.residuals);
    EXPECT_DOUBLE_EQ(seen.work.token_evaluations, unseen.work.token_evaluations);
    for (size_t s = 0; s < seen.iterates.size(); ++s)
      EXPECT_EQ(seen.iterates[s].size(), static_cast<size_t>(seen.work.iterations[s]) + 1);
  }
}

TEST(Stops, AThresholdOfNothingNeedsNoChange) {
  const Model model = random_model(kSmallShape, 8);
  const at::Tensor z = at::zeros_like(some_z());
  const auto evaluator = make_cpu_evaluator(model, kImages, {});
  for (const std::string& name : norm_names()) {
    const Solved got = solve(
        *evaluator, plan_of(1, 40, Guess::kZ, 0, Stop{*norm_from_string(name), 0}), z, kLabels);
    EXPECT_LE(got.work.iterations.at(0), kSmallShape.tokens()) << name;
  }
}

}  // namespace
}  // namespace tarflow
