#include "framework/tensor/noise.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/tensor/philox.h"

namespace tarflow {
namespace {

std::vector<double> values(const at::Tensor& noise) {
  const at::Tensor flat = noise.flatten().to(at::kDouble);
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

// Mean of power `k` of the values.
double moment(const std::vector<double>& x, int k) {
  double sum = 0;
  for (const double v : x) sum += std::pow(v, k);
  return sum / static_cast<double>(x.size());
}

double correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const double n = static_cast<double>(x.size()), mx = moment(x, 1), my = moment(y, 1);
  double xy = 0;
  for (size_t i = 0; i < x.size(); ++i) xy += (x[i] - mx) * (y[i] - my);
  return xy / n / std::sqrt((moment(x, 2) - mx * mx) * (moment(y, 2) - my * my));
}

TEST(Noise, MomentsAndTailsAreNormal) {
  const std::vector<double> x = values(normal_noise(7, 0, 1000, 100, 10, at::kCPU));
  ASSERT_EQ(x.size(), 1000000u);
  // Four standard errors of each.
  EXPECT_NEAR(moment(x, 1), 0, 4e-3);
  EXPECT_NEAR(moment(x, 2), 1, 4 * std::sqrt(2e-6));
  EXPECT_NEAR(moment(x, 3), 0, 4 * std::sqrt(15e-6));
  EXPECT_NEAR(moment(x, 4), 3, 4 * std::sqrt(96e-6));
  for (const double limit : {1.0, 2.0, 3.0, 4.0}) {
    const double p = std::erfc(limit / std::numbers::sqrt2);
    const double beyond = static_cast<double>(
        std::count_if(x.begin(), x.end(), [&](double v) { return std::abs(v) > limit; }));
    EXPECT_NEAR(beyond / 1e6, p, 4 * std::sqrt(p / 1e6)) << limit;
  }
}

TEST(Noise, DistributionFunctionIsNormal) {
  std::vector<double> x = values(normal_noise(8, 0, 1000, 100, 10, at::kCPU));
  std::sort(x.begin(), x.end());
  double distance = 0;  // Kolmogorov-Smirnov
  for (size_t i = 0; i < x.size(); ++i) {
    const double normal = std::erfc(-x[i] / std::numbers::sqrt2) / 2;
    distance = std::max({distance, std::abs(normal - static_cast<double>(i) / 1e6),
                         std::abs(normal - static_cast<double>(i + 1) / 1e6)});
  }
  EXPECT_LT(distance, 1.95 / 1e3);  // probability 0.001
}

TEST(Noise, NeighboursImagesAndSeedsAreIndependent) {
  const std::vector<double> x = values(normal_noise(9, 0, 1000, 25, 8, at::kCPU));
  const double limit = 4 / std::sqrt(static_cast<double>(x.size()) - 400);
  for (const size_t lag : {1, 2, 3, 4, 200}) {  // 200: the same element of the next image
    const std::vector<double> a(x.begin(), x.end() - lag), b(x.begin() + lag, x.end());
    EXPECT_LT(std::abs(correlation(a, b)), limit) << lag;
    std::vector<double> a2 = a, b2 = b;  // the two of a Box-Muller pair share their radius
    for (double& v : a2) v *= v;
    for (double& v : b2) v *= v;
    EXPECT_LT(std::abs(correlation(a2, b2)), limit) << lag;
  }
  const std::vector<double> other_seed = values(normal_noise(10, 0, 1000, 25, 8, at::kCPU));
  EXPECT_LT(std::abs(correlation(x, other_seed)), limit);
  const std::vector<double> high_seed =
      values(normal_noise(9 + (uint64_t{1} << 32), 0, 1000, 25, 8, at::kCPU));
  EXPECT_LT(std::abs(correlation(x, high_seed)), limit);
}

TEST(Noise, ImagesDoNotDependOnTheSplit) {
  const at::Tensor all = normal_noise(3, 100, 12, 5, 3, at::kCPU);  // 15 elements: no multiple of 4
  for (const int64_t batch : {1, 5, 12}) {
    for (int64_t first = 0; first < 12; first += batch) {
      const int64_t count = std::min<int64_t>(batch, 12 - first);
      EXPECT_TRUE(at::equal(normal_noise(3, 100 + first, count, 5, 3, at::kCPU),
                            all.slice(0, first, first + count)));
    }
  }
  // The elements are one stream, whatever the shape.
  EXPECT_TRUE(at::equal(normal_noise(3, 100, 12, 1, 7, at::kCPU).flatten(1),
                        all.flatten(1).slice(1, 0, 7)));
}

TEST(Noise, ThreadCountDoesNotMatter) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = normal_noise(4, 0, 50, 64, 13, at::kCPU);
  at::set_num_threads(3);
  const at::Tensor three = normal_noise(4, 0, 50, 64, 13, at::kCPU);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, three));
}

TEST(Noise, ImageIndicesPast32BitsDiffer) {
  const at::Tensor low = normal_noise(4, 5, 1, 8, 8, at::kCPU);
  const at::Tensor high = normal_noise(4, 5 + (int64_t{1} << 32), 1, 8, 8, at::kCPU);
  EXPECT_FALSE(at::equal(low, high));
}

TEST(Noise, NothingForNoImages) { EXPECT_EQ(normal_noise(4, 0, 0, 8, 8, at::kCPU).numel(), 0); }

// Results made with earlier versions stay comparable only while these bits stay.
TEST(Noise, GoldenBits) {
  const at::Tensor noise = normal_noise(20240229, 3, 1, 4096, 1, at::kCPU);
  const std::string_view bytes(reinterpret_cast<const char*>(noise.const_data_ptr<float>()),
                               4096 * sizeof(float));
  EXPECT_EQ(sha256_hex(bytes), "0918b90600730987622207c40ea0f2db85341811259210f0dc2eeeacc2c972de");
  EXPECT_NEAR(noise.flatten()[0].item<float>(), 0.30670878f, 1e-7f);
  EXPECT_NEAR(noise.flatten()[1].item<float>(), 0.06564853f, 1e-8f);
  EXPECT_NEAR(noise.flatten()[2].item<float>(), -0.31230325f, 1e-7f);
}

TEST(Labels, UniformByChiSquare) {
  // Bounds: probability 0.001 of the chi-square distribution with classes - 1 degrees of freedom.
  for (const auto& [classes, bound] :
       {std::pair{2, 10.83}, std::pair{3, 13.82}, std::pair{10, 27.88}, std::pair{1000, 1142.8}}) {
    const int64_t n = 200000;
    std::vector<int64_t> counts(static_cast<size_t>(classes));
    for (const int64_t label : uniform_labels(11, 0, n, classes)) {
      ASSERT_GE(label, 0);
      ASSERT_LT(label, classes);
      ++counts[static_cast<size_t>(label)];
    }
    const double expected = static_cast<double>(n) / classes;
    double chi_square = 0;
    for (const int64_t count : counts) {
      const double excess = static_cast<double>(count) - expected;
      chi_square += excess * excess / expected;
    }
    EXPECT_LT(chi_square, bound) << classes;
  }
}

TEST(Labels, DoNotDependOnTheSplit) {
  const std::vector<int64_t> all = uniform_labels(11, 50, 40, 10);
  std::vector<int64_t> parts;
  for (int64_t first = 50; first < 90; first += 8) {
    const std::vector<int64_t> part = uniform_labels(11, first, 8, 10);
    parts.insert(parts.end(), part.begin(), part.end());
  }
  EXPECT_EQ(parts, all);
}

TEST(Labels, IndependentOfTheNoise) {
  const int64_t n = 100000;
  const std::vector<int64_t> labels = uniform_labels(12, 0, n, 10);
  const std::vector<double> as_numbers(labels.begin(), labels.end());
  const at::Tensor noise = normal_noise(12, 0, n, 1, 4, at::kCPU);
  for (int64_t element = 0; element < 4; ++element) {
    EXPECT_LT(std::abs(correlation(as_numbers, values(noise.select(2, element)))),
              4 / std::sqrt(static_cast<double>(n)));
  }
}

TEST(Labels, UnconditionalModelsHaveNone) {
  EXPECT_THROW(uniform_labels(1, 0, 4, 0), Error);
  EXPECT_EQ(uniform_labels(1, 0, 3, 1), (std::vector<int64_t>{0, 0, 0}));
}

TEST(ImageNoise, IsTheSameForAnyBatchAndDifferentForAnyImageDrawAndSeed) {
  const std::vector<int64_t> all = {5, 6, 7, 1000000}, last = {1000000};
  for (const ImageNoise kind : {ImageNoise::kNormal, ImageNoise::kUniform}) {
    const at::Tensor whole = image_noise(kind, 3, all, 0, 10);
    EXPECT_TRUE(image_noise(kind, 3, last, 0, 10)[0].equal(whole[3]));
    EXPECT_FALSE(whole[0].equal(whole[1]));
    EXPECT_FALSE(image_noise(kind, 3, all, 1, 10).equal(whole));
    EXPECT_FALSE(image_noise(kind, 4, all, 0, 10).equal(whole));
    EXPECT_TRUE(image_noise(kind, 3, all, 0, 7).equal(whole.slice(1, 0, 7)));
    EXPECT_TRUE(image_noise(kind, 3, all, kMaxDraws - 1, 10).isfinite().all().item<bool>());
    EXPECT_THROW(image_noise(kind, 3, all, kMaxDraws, 10), Error);
    EXPECT_EQ(image_noise(kind, 3, {}, 0, 10).size(0), 0);
  }
}

TEST(ImageNoise, HasItsDistributionAndAStreamOfItsOwn) {
  std::vector<int64_t> images(1000);
  for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<int64_t>(i);
  const std::vector<double> normal = values(image_noise(ImageNoise::kNormal, 7, images, 0, 200)),
                            uniform = values(image_noise(ImageNoise::kUniform, 7, images, 0, 200)),
                            again = values(image_noise(ImageNoise::kNormal, 7, images, 1, 200)),
                            samples = values(normal_noise(7, 0, 1000, 200, 1, at::kCPU));
  const double n = 200000;  // four standard errors of each
  EXPECT_NEAR(moment(normal, 1), 0, 4 / std::sqrt(n));
  EXPECT_NEAR(moment(normal, 2), 1, 4 * std::sqrt(2 / n));
  EXPECT_NEAR(moment(uniform, 1), 0.5, 4 * std::sqrt(1 / 12.0 / n));
  EXPECT_NEAR(moment(uniform, 2), 1 / 3.0, 4 * std::sqrt(4 / 45.0 / n));
  EXPECT_GE(*std::min_element(uniform.begin(), uniform.end()), 0);
  EXPECT_LT(*std::max_element(uniform.begin(), uniform.end()), 1);
  EXPECT_NEAR(correlation(normal, samples), 0, 4 / std::sqrt(n));
  EXPECT_NEAR(correlation(normal, again), 0, 4 / std::sqrt(n));
}

}  // namespace
}  // namespace tarflow
