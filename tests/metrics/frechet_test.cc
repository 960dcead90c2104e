#include "framework/metrics/frechet.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "framework/core/error.h"
#include "framework/core/json.h"

namespace tarflow::metrics {
namespace {

using testing::HasSubstr;

at::Tensor vector(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

at::Tensor square(const std::vector<std::vector<double>>& rows) {
  std::vector<at::Tensor> tensors;
  for (const std::vector<double>& row : rows) tensors.push_back(vector(row));
  return at::stack(tensors);
}

Gaussian gaussian(const at::Tensor& mean, const at::Tensor& covariance) {
  return {mean, covariance, 1000};
}

double total_trace(const Gaussian& a, const Gaussian& b) {
  return (a.covariance.trace() + b.covariance.trace()).item<double>();
}

// (n, features) uniform numbers in [0, 1): a linear congruential generator that any language can
// repeat.
at::Tensor congruential(uint32_t state, int64_t n, int64_t features) {
  at::Tensor values = at::empty({n, features}, at::kDouble);
  for (int64_t i = 0; i < n * features; ++i) {
    state = 1664525u * state + 1013904223u;
    values.mutable_data_ptr<double>()[i] = state / 4294967296.0;
  }
  return values;
}

Moments moments_of(const at::Tensor& features) {
  Moments moments;
  moments.add(features);
  return moments;
}

// An orthogonal matrix from a QR decomposition of fixed numbers.
at::Tensor orthogonal(int64_t n) { return std::get<0>(at::linalg_qr(congruential(5, n, n) - 0.5)); }

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Fixtures by scipy.linalg.sqrtm: random, equal, singular and badly scaled covariances.
TEST(Frechet, AgreesWithScipy) {
  const Json cases = read_json_file(TARFLOW_SOURCE_DIR "/tests/metrics/fixtures/frechet.json");
  ASSERT_EQ(cases.size(), 7u);
  for (const Json& item : cases) {
    const Gaussian a = gaussian(vector(item["mean_a"]), square(item["covariance_a"]));
    const Gaussian b = gaussian(vector(item["mean_b"]), square(item["covariance_b"]));
    const double distance = item["distance"], tolerance = 1e-6 * total_trace(a, b);
    EXPECT_NEAR(frechet_distance(a, b), distance, tolerance) << item["name"];
    EXPECT_NEAR(frechet_distance(b, a), distance, tolerance) << item["name"] << ", exchanged";
  }
}

// Expected values by numpy.cov and scipy.linalg.sqrtm.
TEST(Frechet, OfFeaturesAgreesWithScipy) {
  const auto distance = [](int64_t n_a, int64_t n_b) {
    return frechet_distance(moments_of(congruential(1, n_a, 64)).gaussian(),
                            moments_of(congruential(2, n_b, 64) * 1.3 + 0.1).gaussian());
  };
  EXPECT_NEAR(distance(200, 150), 5.945957775286438, 1e-6 * 14.37);
  EXPECT_NEAR(distance(100, 40), 9.637067345412653, 1e-6 * 14.65);  // fewer samples than features
}

TEST(Frechet, OneDimension) {
  // (mu_a - mu_b)^2 + (sigma_a - sigma_b)^2
  const Gaussian a = gaussian(vector({1.5}), square({{4.0}})),
                 b = gaussian(vector({-2.0}), square({{0.25}}));
  EXPECT_NEAR(frechet_distance(a, b), 3.5 * 3.5 + 1.5 * 1.5, 1e-12);
}

TEST(Frechet, Diagonal) {
  const at::Tensor roots_a = vector({1, 2, 0, 4}), roots_b = vector({3, 0.5, 2, 0});
  const Gaussian a = gaussian(vector({0, 1, 2, 3}), at::diag(roots_a.square()));
  const Gaussian b = gaussian(vector({1, 1, 2, 1}), at::diag(roots_b.square()));
  EXPECT_NEAR(frechet_distance(a, b), 5 + (roots_a - roots_b).square().sum().item<double>(), 1e-12);
}

TEST(Frechet, CommutingCovariances) {
  // Same eigenvectors: the squared difference of the roots.
  const int64_t n = 20;
  const at::Tensor q = orthogonal(n), zero = at::zeros({n}, at::kDouble);
  const at::Tensor roots_a = congruential(6, 1, n)[0], roots_b = congruential(7, 1, n)[0];
  const Gaussian a = gaussian(zero, (q * roots_a.square()).matmul(q.t()));
  const Gaussian b = gaussian(zero, (q * roots_b.square()).matmul(q.t()));
  EXPECT_NEAR(frechet_distance(a, b), (roots_a - roots_b).square().sum().item<double>(), 1e-12);
}

TEST(Frechet, DoesNotChangeUnderRotation) {
  const at::Tensor f = congruential(1, 80, 30), g = congruential(2, 90, 30) * 2 - 0.3,
                   q = orthogonal(30);
  EXPECT_NEAR(
      frechet_distance(moments_of(f).gaussian(), moments_of(g).gaussian()),
      frechet_distance(moments_of(f.matmul(q)).gaussian(), moments_of(g.matmul(q)).gaussian()),
      1e-9);
}

TEST(Frechet, MismatchedWidthsNameBoth) {
  const Gaussian a = moments_of(congruential(1, 10, 3)).gaussian(),
                 b = moments_of(congruential(1, 10, 5)).gaussian();
  EXPECT_THAT(error_of([&] { frechet_distance(a, b); }),
              HasSubstr("between 3 features and 5 features"));
  const Gaussian broken = {a.mean, b.covariance, 10};
  EXPECT_THAT(error_of([&] { frechet_distance(a, broken); }), HasSubstr("the second Gaussian"));
}

TEST(Frechet, ValuesThatAreNotFiniteAreErrors) {
  const Gaussian good = moments_of(congruential(1, 10, 3)).gaussian();
  Gaussian bad = moments_of(congruential(2, 10, 3)).gaussian();
  bad.covariance[1][2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error_of([&] { frechet_distance(bad, good); }),
              HasSubstr("first Gaussian (3 features) is not finite"));
  bad = moments_of(congruential(2, 10, 3)).gaussian();
  bad.mean[0] = std::numeric_limits<double>::infinity();
  EXPECT_THAT(error_of([&] { frechet_distance(good, bad); }), HasSubstr("second Gaussian"));
}

TEST(Moments, MeanAndCovarianceByHand) {
  // Three samples of two features.
  const Gaussian g = moments_of(square({{1, 2}, {3, 6}, {5, 1}})).gaussian();
  EXPECT_TRUE(at::allclose(g.mean, vector({3, 3}), 0, 1e-14));
  EXPECT_TRUE(at::allclose(g.covariance, square({{4, -1}, {-1, 7}}), 0, 1e-14));
  EXPECT_EQ(g.count, 3);
}

TEST(Moments, AreInFloat64) {
  // In float32 the sum of 1e8 and 1 is 1e8.
  Moments moments;
  moments.add(at::tensor({1e8f, 1.0f, -1e8f}, at::kFloat).unsqueeze(1));
  EXPECT_EQ(moments.sum.item<double>(), 1.0);
  EXPECT_EQ(moments.sum.scalar_type(), at::kDouble);
  EXPECT_EQ(moments.outer.item<double>(), 2e16 + 1);
}

TEST(Moments, AnySplitGivesTheSame) {
  const at::Tensor f = congruential(3, 100, 12);
  const Moments whole = moments_of(f);
  std::vector<Moments> parts;
  for (int64_t first = 0; first < 100; first += 30) {
    parts.push_back(moments_of(f.slice(0, first, std::min<int64_t>(first + 30, 100))));
  }
  const Moments combined = combine(parts);
  Moments streamed;
  for (int64_t i = 0; i < 100; ++i) streamed.add(f.slice(0, i, i + 1));
  for (const Moments& moments : {combined, streamed}) {
    EXPECT_EQ(moments.count, 100);
    EXPECT_TRUE(at::allclose(moments.sum, whole.sum, 1e-14, 0));
    EXPECT_TRUE(at::allclose(moments.outer, whole.outer, 1e-14, 0));
  }
  const Moments again = combine(parts);
  EXPECT_TRUE(at::equal(again.sum, combined.sum));
  EXPECT_TRUE(at::equal(again.outer, combined.outer));
}

TEST(Moments, CombiningLeavesThePartsAlone) {
  std::vector<Moments> parts = {moments_of(congruential(1, 4, 3)),
                                moments_of(congruential(2, 4, 3))};
  const at::Tensor before = parts[0].sum.clone();
  Moments total = combine(parts);
  total.add(congruential(3, 4, 3));
  EXPECT_TRUE(at::equal(parts[0].sum, before));
  EXPECT_EQ(parts[0].count, 4);
  EXPECT_EQ(total.count, 12);
  EXPECT_EQ(combine({}).count, 0);
}

TEST(Moments, BadFeaturesAreErrors) {
  Moments moments = moments_of(congruential(1, 10, 3));
  EXPECT_THAT(error_of([&] { moments.add(congruential(1, 10, 4)); }),
              HasSubstr("samples of 4 features cannot join samples of 3"));
  EXPECT_NE(error_of([&] { moments.add(vector({1, 2, 3})); }), "");
  EXPECT_NE(error_of([&] { moments.add(at::ones({2, 3}, at::kLong)); }), "");
  EXPECT_THAT(error_of([&] { moments.add(congruential(1, 2, 3) / 0.0); }), HasSubstr("not finite"));
  EXPECT_EQ(moments.count, 10);  // what failed left no trace
}

TEST(Moments, TooFewSamples) {
  Moments moments;
  EXPECT_THAT(error_of([&] { moments.gaussian(); }), HasSubstr("no samples"));
  moments.add(congruential(1, 1, 3));
  EXPECT_THAT(error_of([&] { moments.gaussian(); }), HasSubstr("at least 2 samples; there are 1"));
  moments.add(congruential(2, 1, 3));
  EXPECT_TRUE(moments.gaussian().fewer_samples_than_features());
  moments.add(congruential(3, 1, 3));
  EXPECT_FALSE(moments.gaussian().fewer_samples_than_features());
}

std::string refusal(const at::Tensor& covariance) {
  try {
    require_covariance(gaussian(at::zeros({covariance.size(0)}, at::kDouble), covariance), "s.npz");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(RequireCovariance, TakesWhatRoundingMakesOfOne) {
  const int64_t features = 64;
  // From many samples, from so few that most eigenvalues are 0, and with features that never vary.
  for (const int64_t samples : {1000, 5, 2}) {
    at::Tensor values = congruential(7, samples, features) * 3 + 100;
    values.slice(1, 0, 4).fill_(2.5);
    const at::Tensor covariance = moments_of(values).covariance();
    EXPECT_EQ(refusal(covariance), "");
    EXPECT_EQ(refusal(covariance.to(at::kFloat).to(at::kDouble)), "");
    EXPECT_EQ(refusal(covariance * 1e-12), "");
    EXPECT_EQ(refusal(covariance * 1e12), "");
  }
  EXPECT_EQ(refusal(at::zeros({3, 3}, at::kDouble)), "");
}

TEST(RequireCovariance, RefusesWhatIsNone) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(refusal(square({{1, 2}, {2, 1}})),
              HasSubstr("not positive semidefinite: its smallest "
                        "eigenvalue is -1,"));
  EXPECT_THAT(refusal(square({{1, 1.01}, {1.01, 1}})), HasSubstr("not positive semidefinite"));
  EXPECT_THAT(refusal(square({{1, 0}, {0, -0.1}})), HasSubstr("the variance of feature 1 is -0.1"));
  EXPECT_THAT(refusal(square({{1, 0.5}, {0, 1}})), HasSubstr("not symmetric: the element (0, 1)"));
  EXPECT_THAT(refusal(square({{1, nan}, {nan, 1}})), HasSubstr("not finite"));
  // Features may be small: what is negative is so against the others.
  EXPECT_THAT(refusal(square({{1e-9, 0}, {0, -1e-10}})), HasSubstr("variance of feature 1"));
  EXPECT_THAT(refusal(square({{1, 0}, {0, -1}})), HasSubstr("s.npz"));
}

}  // namespace
}  // namespace tarflow::metrics
