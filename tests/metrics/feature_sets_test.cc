// Kernel distance, precision and recall where the answer is known.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "framework/core/error.h"
#include "framework/metrics/kid.h"
#include "framework/metrics/precision_recall.h"

namespace tarflow::metrics {
namespace {

using testing::HasSubstr;

at::Tensor normal(uint64_t seed, int64_t n, int64_t features) {
  at::manual_seed(seed);
  return at::randn({n, features}, at::kDouble);
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// The definition, sample by sample.
double direct_mmd2(const at::Tensor& x, const at::Tensor& y) {
  const auto a = x.accessor<double, 2>(), b = y.accessor<double, 2>();
  const int64_t m = x.size(0), features = x.size(1);
  const auto k = [&](const auto& u, int64_t i, const auto& v, int64_t j) {
    double dot = 0;
    for (int64_t f = 0; f < features; ++f) dot += u[i][f] * v[j][f];
    return std::pow(dot / static_cast<double>(features) + 1, 3);
  };
  double within = 0, between = 0;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < m; ++j) {
      if (i != j) within += k(a, i, a, j) + k(b, i, b, j);
      between += k(a, i, b, j);
    }
  }
  const double n = static_cast<double>(m);
  return within / (n * (n - 1)) - 2 * between / (n * n);
}

TEST(KernelDistance, OfOneSubsetIsItsDefinition) {
  const at::Tensor x = normal(1, 30, 7), y = normal(2, 30, 7) * 1.5 + 0.5;
  EXPECT_NEAR(polynomial_mmd2(x, y), direct_mmd2(x, y), 1e-12);
  // With all samples in each subset, every subset gives the same.
  const Kid kid = kernel_distance(x, y, {.subsets = 5, .subset_size = 1000, .seed = 3});
  EXPECT_EQ(kid.subset_size, 30);
  EXPECT_EQ(kid.subsets, 5);
  EXPECT_NEAR(kid.mean, direct_mmd2(x, y), 1e-12);
  EXPECT_LT(kid.deviation, 1e-12);
}

// For x ~ N(0, 1) and y ~ N(d, 1) in F dimensions, E k = E[(x y / F + 1)^3] has a closed form.
TEST(KernelDistance, OfShiftedGaussiansIsTheKnownValue) {
  constexpr int64_t kFeatures = 4;
  constexpr double kShift = 1.0;
  const at::Tensor x = normal(4, 6000, kFeatures), y = normal(5, 6000, kFeatures) + kShift;
  const double f = kFeatures, d2 = kShift * kShift;
  // s = x y / F of independent samples with means a, b in every feature: E s = ab,
  // E s^2 = (1 + a^2 + b^2 + a^2 b^2 F) / F, E s^3 = 3 ab (...): from the moments of a product.
  const auto expected = [&](double a2, double b2, double ab) {
    const double mean = ab, variance = (1 + a2 + b2) / f;
    // Third central moment of one product of unit normals of means a, b: 6 a b.
    const double third = 6 * ab / (f * f);
    const double s2 = variance + mean * mean;
    const double s3 = third + 3 * mean * variance + mean * mean * mean;
    return s3 + 3 * s2 + 3 * mean + 1;
  };
  const double truth = expected(0, 0, 0) + expected(d2, d2, d2) - 2 * expected(0, d2, 0);
  const Kid kid = kernel_distance(x, y, {.subsets = 50, .subset_size = 500, .seed = 1});
  EXPECT_NEAR(kid.mean, truth, 0.1 * truth);
  EXPECT_GT(kid.deviation, 0);
}

TEST(KernelDistance, OfOneDistributionIsUnbiased) {
  const Kid kid = kernel_distance(normal(6, 4000, 16), normal(7, 4000, 16),
                                  {.subsets = 100, .subset_size = 200, .seed = 2});
  EXPECT_LT(std::abs(kid.mean), 3 * kid.deviation / std::sqrt(20.0));  // 4000 / 200 are independent
  EXPECT_GT(kid.deviation, 0);
}

TEST(KernelDistance, FollowsFromTheSeed) {
  const at::Tensor x = normal(8, 100, 3), y = normal(9, 90, 3);
  const KidOptions options{.subsets = 4, .subset_size = 20, .seed = 11};
  EXPECT_EQ(kernel_distance(x, y, options).mean, kernel_distance(x, y, options).mean);
  KidOptions other = options;
  other.seed = 12;
  EXPECT_NE(kernel_distance(x, y, options).mean, kernel_distance(x, y, other).mean);
}

TEST(PrecisionRecall, OfEqualSetsAreOne) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor x = normal(1, 200, 12).to(type) * 3 + 100;
    const PrecisionRecall pr = precision_recall(x, x.clone().flip(0));
    EXPECT_EQ(pr.precision, 1);
    EXPECT_EQ(pr.recall, 1);
  }
  // Balls of no size: all samples are one point.
  const at::Tensor same = at::full({10, 5}, 0.1);
  EXPECT_EQ(precision_recall(same, same).precision, 1);
}

TEST(PrecisionRecall, OfDisjointSetsAreZero) {
  const PrecisionRecall pr = precision_recall(normal(2, 100, 4), normal(3, 80, 4) + 100);
  EXPECT_EQ(pr.precision, 0);
  EXPECT_EQ(pr.recall, 0);
}

// Points on a line: radii can be read off.
TEST(PrecisionRecall, OnALineIsCountedByHand) {
  const auto line = [](const std::vector<double>& x) {
    return at::tensor(x, at::kDouble).unsqueeze(1);
  };
  // k = 1: real balls [-1,1] [0,2] [1,3] around 0 1 2, and [2,18] around 10 (its nearest is 2).
  const at::Tensor real = line({0, 1, 2, 10});
  // Fake balls: [17,19] [18,20] [19,21].
  const at::Tensor fake = line({18, 19, 20});
  const PrecisionRecall pr = precision_recall(real, fake, 1);
  EXPECT_DOUBLE_EQ(pr.precision, 1.0 / 3);  // 18 lies on the edge of the ball around 10
  EXPECT_EQ(pr.recall, 0);
  // k = 2 among real: 0 -> 2, 1 -> 1, 2 -> 2, 10 -> 9: its ball [1, 19].
  EXPECT_DOUBLE_EQ(precision_recall(real, fake, 2).precision, 2.0 / 3);
}

// More samples than fit one block, against a direct search.
TEST(PrecisionRecall, InBlocksIsThatOfADirectSearch) {
  const at::Tensor real = normal(4, 4200, 3), fake = normal(5, 900, 3) * 0.5 + 1;
  const auto direct = [](const at::Tensor& samples, const at::Tensor& centres) {
    const at::Tensor radius =
        std::get<0>(at::cdist(centres, centres, 2, 2).kthvalue(4, 1)).unsqueeze(0);
    return (at::cdist(samples, centres, 2, 2) <= radius).any(1).to(at::kDouble).mean();
  };
  const PrecisionRecall pr = precision_recall(real, fake);
  EXPECT_DOUBLE_EQ(pr.precision, direct(fake, real).item<double>());
  EXPECT_DOUBLE_EQ(pr.recall, direct(real, fake).item<double>());
  EXPECT_GT(pr.precision, 0.5);
  EXPECT_LT(pr.recall, 0.6);
}

TEST(FeatureSets, ThatCannotBeComparedAreRefused) {
  const at::Tensor x = normal(1, 20, 4);
  EXPECT_THAT(error_of([&] { kernel_distance(x, normal(2, 20, 5)); }), HasSubstr("4 features"));
  EXPECT_THAT(error_of([&] { kernel_distance(x, normal(2, 1, 4)); }), HasSubstr("at least 2"));
  EXPECT_THAT(error_of([&] { kernel_distance(x, at::Tensor()); }), HasSubstr("generated"));
  EXPECT_THAT(error_of([&] { precision_recall(normal(3, 3, 4), x); }), HasSubstr("at least 4"));
  EXPECT_THAT(error_of([&] { precision_recall(x, x, 0); }), HasSubstr("0-th"));
  at::Tensor bad = x.clone();
  bad[3][2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error_of([&] { precision_recall(bad, x); }), HasSubstr("not finite"));
}

}  // namespace
}  // namespace tarflow::metrics
