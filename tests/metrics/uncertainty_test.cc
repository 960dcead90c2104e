#include "framework/metrics/uncertainty.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "framework/core/error.h"
#include "tests/support/random_model.h"

namespace tarflow::metrics {
namespace {

Moments moments_of(const at::Tensor& features) {
  Moments moments;
  moments.add(features);
  return moments;
}

// Groups of these sizes, one feature each sample.
std::vector<Moments> groups_of(RandomTensors& random, const std::vector<int64_t>& sizes) {
  std::vector<Moments> groups;
  for (const int64_t size : sizes)
    groups.push_back(moments_of(random.normal({size, 1}, 1.0).to(at::kDouble)));
  return groups;
}

double mean_of(const Gaussian& gaussian) { return gaussian.mean[0].item<double>(); }

// Of the mean, the jackknife of groups of one sample is the textbook standard error s / sqrt(n).
TEST(Uncertainty, OfTheMeanItIsTheStandardError) {
  RandomTensors random(3);
  const auto groups = groups_of(random, std::vector<int64_t>(15, 1));
  const Gaussian all = combine(groups).gaussian();
  const Jackknife result = jackknife(groups, mean_of(all), mean_of);
  ASSERT_EQ(result.values.size(), 15u);
  EXPECT_NEAR(result.error, std::sqrt(all.covariance.item<double>() / 15), 1e-12);
  const double first = groups[0].sum.item<double>();
  EXPECT_NEAR(result.values[0], (15 * mean_of(all) - first) / 14, 1e-12) << "without group 0";
  EXPECT_EQ(result.left_out[0], 1);
}

// With groups of different sizes the mean's error is sqrt(sum m_j (mean_j - mean)^2 / (n (G - 1)))
// up to terms of the order of the sizes' spread; checked against many draws.
TEST(Uncertainty, UnequalGroupsGiveTheSpreadOfManyRuns) {
  RandomTensors random(4);
  const std::vector<int64_t> sizes = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 2};
  double squared_errors = 0, sum = 0, squares = 0;
  constexpr int kRuns = 400;
  for (int run = 0; run < kRuns; ++run) {
    const auto groups = groups_of(random, sizes);
    const double whole = mean_of(combine(groups).gaussian());
    squared_errors += std::pow(jackknife(groups, whole, mean_of).error, 2);
    sum += whole;
    squares += whole * whole;
  }
  const double spread = squares / kRuns - std::pow(sum / kRuns, 2);
  EXPECT_NEAR(squared_errors / kRuns / spread, 1.0, 0.2);
}

// The distance of 1,000 samples of a Gaussian to another is uncertain by about as much as the
// jackknife of one run says.
TEST(Uncertainty, ADistanceIsAsUncertainAsTheJackknifeSays) {
  RandomTensors random(5);
  const Gaussian reference{at::full({3}, 0.5, at::kDouble), at::eye(3, at::kDouble), 0};
  const auto distance = [&](const Gaussian& g) { return frechet_distance(g, reference); };
  double squared_errors = 0, sum = 0, squares = 0;
  constexpr int kRuns = 100;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<Moments> groups;
    for (int g = 0; g < 20; ++g) groups.push_back(moments_of(random.normal({50, 3}, 1.0)));
    const double whole = distance(combine(groups).gaussian());
    squared_errors += std::pow(jackknife(groups, whole, distance).error, 2);
    sum += whole;
    squares += whole * whole;
  }
  const double spread = squares / kRuns - std::pow(sum / kRuns, 2);
  EXPECT_GT(squared_errors / kRuns / spread, 0.6);
  EXPECT_LT(squared_errors / kRuns / spread, 1.7);
}

TEST(Uncertainty, NeighboursAreSummedIntoAtMostTwentyGroups) {
  RandomTensors random(6);
  auto groups = groups_of(random, std::vector<int64_t>(50, 2));
  groups[3] = {};  // no finite image was in it
  const std::vector<Moments> merged = jackknife_groups(groups);
  ASSERT_EQ(merged.size(), 20u);
  EXPECT_TRUE(merged[0].sum.equal(groups[0].sum + groups[1].sum + groups[2].sum));
  int64_t samples = 0;
  for (const Moments& group : merged) samples += group.count;
  EXPECT_EQ(samples, 98);
  EXPECT_EQ(jackknife_groups(std::span(groups).first(12)).size(), 11u);
}

TEST(Uncertainty, TooFewGroupsAreRefused) {
  RandomTensors random(7);
  const auto groups = groups_of(random, std::vector<int64_t>(9, 2));
  EXPECT_THROW(jackknife(groups, 0, mean_of), Error);
}

}  // namespace
}  // namespace tarflow::metrics
