#include "framework/metrics/likelihood.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <tuple>
#include <vector>

#include "framework/core/error.h"
#include "framework/model/patchify.h"
#include "tests/support/random_model.h"

namespace tarflow::metrics {
namespace {

const double kHalfLog2Pi = 0.5 * std::log(2 * std::numbers::pi);

std::vector<int64_t> numbers_from(int64_t first, int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

// 8-bit images as the model takes them.
at::Tensor pictures(const ModelShape& shape, int64_t n, uint64_t seed) {
  const int64_t side = shape.image_size;
  const at::Tensor u =
      image_noise(ImageNoise::kUniform, seed, numbers_from(0, n), 0, 3 * side * side);
  return (u * 256).floor().view({n, 3, side, side}) / 255 * 2 - 1;
}

// All outputs 0: z = x and logdet = 0.
Model identity_flow(const ModelShape& shape) {
  Model model = random_model(shape, 1);
  for (BlockWeights& block : model.blocks) {
    block.proj_out_weight.zero_();
    block.proj_out_bias.zero_();
  }
  return model;
}

constexpr ModelShape kShape{
    .image_size = 4, .patch_size = 2, .channels = 64, .blocks = 3, .layers = 1, .classes = 4};

TEST(Likelihood, OfAnIdentityFlowIsThatOfANormal) {
  const Model model = identity_flow(kShape);
  const at::Tensor images = pictures(kShape, 5, 2);
  const Likelihood found = likelihood(model, images, {});
  for (int64_t i = 0; i < 5; ++i) {
    const double expected =
        0.5 * images[i].to(at::kDouble).square().mean().item<double>() + kHalfLog2Pi;
    EXPECT_NEAR(found.nats[i].item<double>(), expected, 1e-12);
  }
  EXPECT_EQ(found.logdets.abs().max().item<double>(), 0);
  EXPECT_EQ(found.logdets.size(1), 3);
}

// Grey of level 127 everywhere: x = 2 (127 + u) / 256 - 1 is between -1/128 and 0.
TEST(Likelihood, BitsOfAGreyImageUnderAnIdentityFlowAreKnown) {
  const Model model = identity_flow(kShape);
  const at::Tensor grey = at::full({1, 3, 4, 4}, 127.0 / 255 * 2 - 1);
  const double lowest = std::log2(128 * std::sqrt(2 * std::numbers::pi));  // at x = 0
  const auto bits = [&](double u) {
    const at::Tensor x = dequantised(grey, at::full_like(grey, u));
    EXPECT_NEAR(x.min().item<double>(), (127 + u) / 128 - 1, 1e-7);
    return bits_per_dimension(likelihood(model, x, {}).nats[0].item<double>());
  };
  EXPECT_NEAR(bits(0.999999), lowest, 1e-6);
  EXPECT_NEAR(bits(0), lowest + 0.5 / 128 / 128 / std::numbers::ln2, 1e-6);
}

// Each block is z_t = exp(-a) (x_t - c x_(t-1)), z_0 = x_0: x is normal with a known covariance,
// whose density needs no flow.
TEST(Likelihood, OfALinearFlowIsThatOfItsMultivariateNormal) {
  const ModelShape shape{.image_size = 4, .patch_size = 1, .channels = 64, .blocks = 2};
  const double a = 0.3, c = 0.6;
  Model model = random_model(shape, 1);
  const int64_t t = shape.tokens(), d = shape.token_width();
  for (BlockWeights& block : model.blocks) {
    block.position.zero_();
    block.proj_in_bias.zero_();
    block.proj_in_weight = at::eye(64, d);
    block.proj_out_bias = at::cat({at::full({d}, a), at::zeros({d})}).to(at::kFloat);
    block.proj_out_weight = at::cat({at::zeros({d, 64}), at::eye(d, 64) * c});
  }
  const auto options = at::TensorOptions().dtype(at::kDouble);
  at::Tensor forward = at::eye(t, options) * std::exp(-a);
  forward[0][0] = 1;
  for (int64_t i = 1; i < t; ++i) forward[i][i - 1] = -c * std::exp(-a);
  // Block 1 reads the tokens in reverse.
  const at::Tensor both = forward.flip({0, 1}).matmul(forward);
  const at::Tensor precision = both.t().matmul(both);
  const double log_determinant = std::get<1>(at::linalg_slogdet(precision)).item<double>();
  const at::Tensor images = pictures(shape, 4, 3);
  const Likelihood found = likelihood(model, images, {});
  const at::Tensor x = patchify(images, 1).to(at::kDouble);
  for (int64_t i = 0; i < 4; ++i) {
    const double quadratic = (x[i] * precision.matmul(x[i])).sum().item<double>();
    const double total =
        0.5 * quadratic - 0.5 * d * log_determinant + static_cast<double>(t * d) * kHalfLog2Pi;
    EXPECT_NEAR(found.nats[i].item<double>(), total / static_cast<double>(t * d), 1e-6);
  }
  const double logdet = -a * static_cast<double>(t - 1) / static_cast<double>(t);
  EXPECT_NEAR((found.logdets - logdet).abs().max().item<double>(), 0, 1e-6);
}

TEST(Likelihood, IsTheLossOfTrainingAndItsConstant) {
  const Model model = random_model(kShape, 4);
  const at::Tensor images = pictures(kShape, 6, 5);
  const Labels labels = {0, 1, 2, 3, -1, 0};
  const Likelihood found = likelihood(model, images, labels);
  const at::Tensor loss = sample_loss(forward(model, images, labels)).to(at::kDouble);
  EXPECT_LT((found.nats - loss - kHalfLog2Pi).abs().max().item<double>(), 1e-5);
  EXPECT_GT((found.nats - likelihood(model, images, {}).nats).abs().max().item<double>(), 1e-6)
      << "labels matter";
  EXPECT_THROW(likelihood(model, images, {0, 1, 2, 3, 4, 0}), Error);
}

TEST(Likelihood, IsTheSameForAnyBatch) {
  const Model model = random_model(kShape, 6);
  const at::Tensor images = pictures(kShape, 10, 7);
  const at::Tensor all = likelihood(model, images, {}).nats;
  for (const int64_t batch : {1, 3, 4, 9}) {
    std::vector<at::Tensor> parts;
    for (const at::Tensor& part : images.split(batch))
      parts.push_back(likelihood(model, part, {}).nats);
    EXPECT_LT((at::cat(parts) - all).abs().max().item<double>(), 1e-5) << batch;
  }
}

TEST(Likelihood, BitsAreNatsOfLevelsOverLnTwo) {
  EXPECT_DOUBLE_EQ(nats_of_levels(0), std::log(128));
  EXPECT_DOUBLE_EQ(bits_per_dimension(0), 7);
  EXPECT_DOUBLE_EQ(bits_per_dimension(std::numbers::ln2), 8);
  // Uniform over the 256 levels, of width 2 on the scale of the model: 8 bits.
  EXPECT_DOUBLE_EQ(bits_per_dimension(std::log(2)), 8);
}

TEST(Dequantisation, KeepsEveryLevelInItsCell) {
  const at::Tensor levels = at::arange(256, at::kFloat);
  const at::Tensor images = levels / 255 * 2 - 1;
  for (const double u : {0.0, 0.25, 0.999}) {
    const at::Tensor x = dequantised(images, at::full_like(images, u));
    EXPECT_LT((x - (2 * (levels + u) / 256 - 1)).abs().max().item<double>(), 1e-6) << u;
    EXPECT_TRUE(((x + 1) * 128).floor().equal(levels)) << u;
  }
}

TEST(RunningMean, IsTheMeanAndItsStandardError) {
  RunningMean few;
  EXPECT_EQ(few.count(), 0);
  few.add(3);
  EXPECT_EQ(few.mean(), 3);
  EXPECT_TRUE(std::isnan(few.standard_error())) << "one value has no spread";
  few.add(5);
  EXPECT_DOUBLE_EQ(few.mean(), 4);
  EXPECT_DOUBLE_EQ(few.standard_error(), 1);  // sqrt(2 / 2)
  RunningMean far;                            // a large common part takes no digits away
  for (int i = 0; i < 1000; ++i) far.add(1e9 + i % 2);
  EXPECT_NEAR(far.mean(), 1e9 + 0.5, 1e-6);
  EXPECT_NEAR(far.standard_error(), 0.5 / std::sqrt(999.0), 1e-8);
}

}  // namespace
}  // namespace tarflow::metrics
