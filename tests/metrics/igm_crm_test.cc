#include "framework/metrics/igm_crm.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/core/error.h"
#include "framework/model/forward.h"
#include "framework/model/patchify.h"
#include "tests/support/random_model.h"

namespace tarflow::metrics {
namespace {

using testing::HasSubstr;

constexpr MatrixNorm kNorms[] = {MatrixNorm::kSpectral, MatrixNorm::kColumnSum,
                                 MatrixNorm::kFrobenius};

at::Tensor random_images(const ModelShape& shape, int64_t n, uint64_t seed) {
  return normal_noise(seed, 0, n, 3, int64_t{shape.image_size} * shape.image_size, at::kCPU)
      .view({n, 3, shape.image_size, shape.image_size})
      .clamp(-1, 1);
}

// A flow without layers: xa = shift of bias_a, xc = shift of `factor` times the token itself. Each
// block is z_t = exp(-bias_a) (x_t - factor x_{t-1}) for t > 0 and z_0 = x_0.
Model linear_model(double bias_a, double factor, int blocks) {
  const ModelShape shape{.image_size = 4, .patch_size = 1, .channels = 64, .blocks = blocks};
  Model model = random_model(shape, 1);
  const int64_t d = shape.token_width(), c = shape.channels;
  for (BlockWeights& block : model.blocks) {
    block.position.zero_();
    block.proj_in_bias.zero_();
    block.proj_in_weight = at::eye(c, d);
    block.proj_out_bias = at::cat({at::full({d}, bias_a), at::zeros({d})}).to(at::kFloat);
    block.proj_out_weight = at::cat({at::zeros({d, c}), at::eye(d, c) * factor});
  }
  return model;
}

IgmCrm sums_of(const Model& model, const at::Tensor& images, int64_t batch) {
  IgmCrm metrics(model);
  for (const at::Tensor& part : images.split(batch)) metrics.add(part);
  EXPECT_EQ(metrics.count(), images.size(0));
  return metrics;
}

std::vector<BlockMetrics> metrics_of(const Model& model, const at::Tensor& images,
                                     MatrixNorm norm) {
  return sums_of(model, images, images.size(0)).result(norm);
}

// x without its last `last` and its first `first` tokens, mean over N in float64: (T - last -
// first, D).
at::Tensor mean_of_tokens(const at::Tensor& x, int64_t first, int64_t last) {
  return x.slice(1, first, x.size(1) - last).to(at::kDouble).mean(0);
}

TEST(MatrixNorm, KnownMatrices) {
  const at::Tensor diagonal = at::diag(at::tensor({3.0, -4.0}, at::kDouble));
  EXPECT_DOUBLE_EQ(matrix_norm(diagonal, MatrixNorm::kSpectral), 4);
  EXPECT_DOUBLE_EQ(matrix_norm(diagonal, MatrixNorm::kFrobenius), 5);
  const at::Tensor wide = at::tensor({1.0f, -2.0f, 3.0f, 4.0f, 5.0f, -6.0f}).view({2, 3});
  EXPECT_DOUBLE_EQ(matrix_norm(wide, MatrixNorm::kColumnSum), 9);  // of columns, not rows
  EXPECT_NEAR(matrix_norm(wide.t(), MatrixNorm::kSpectral),
              matrix_norm(wide, MatrixNorm::kSpectral), 1e-12);
  for (const MatrixNorm norm : kNorms) {
    EXPECT_EQ(matrix_norm(wide / 0.0, norm), std::numeric_limits<double>::infinity());
  }
}

TEST(MatrixNorm, Names) {
  for (const MatrixNorm norm : kNorms) EXPECT_EQ(matrix_norm_from(to_string(norm)), norm);
  EXPECT_EQ(to_string(MatrixNorm::kSpectral), "2");
  EXPECT_EQ(to_string(MatrixNorm::kColumnSum), "1");
  EXPECT_EQ(to_string(MatrixNorm::kFrobenius), "fro");
  EXPECT_THROW(matrix_norm_from("inf"), Error);
}

// With a = 0 and g_t = c x_{t-1}: the residual of the guess z is -c^2 x_{t-2} (t >= 2), of zeros -c
// x_{t-1} (t >= 2).
TEST(IgmCrm, LinearFlowHasKnownInitialGuessMetrics) {
  for (const double c : {0.5, 1.5}) {
    const Model model = linear_model(0.0, c, 2);
    const at::Tensor images = random_images(model.shape, 6, 3);
    const at::Tensor x0 = patchify(images, 1);
    const at::Tensor x1 =
        block_forward(model, model.blocks[0], x0, {}).z.flip(1);  // block 1 reads in reverse
    for (const MatrixNorm norm : kNorms) {
      const std::vector<BlockMetrics> result = metrics_of(model, images, norm);
      ASSERT_EQ(result.size(), 2u);
      for (const auto& [block, x] : {std::pair{0, x0}, std::pair{1, x1}}) {
        EXPECT_NEAR(result[block].igm_z, c * c * matrix_norm(mean_of_tokens(x, 0, 2), norm), 1e-6);
        EXPECT_NEAR(result[block].igm_zero, c * matrix_norm(mean_of_tokens(x, 1, 1), norm), 1e-6);
      }
    }
  }
}

TEST(IgmCrm, GuessIsTheSmallerOne) {
  const at::Tensor images = at::full({2, 3, 4, 4}, 0.5);
  // On a constant image block 0's metrics are c^2 and c times the same norm.
  EXPECT_EQ(metrics_of(linear_model(0, 0.5, 1), images, MatrixNorm::kSpectral)[0].guess, Guess::kZ);
  EXPECT_EQ(metrics_of(linear_model(0, 1.5, 1), images, MatrixNorm::kSpectral)[0].guess,
            Guess::kZero);
  // Equal metrics (both zero: the outputs do not depend on the input) choose z.
  const BlockMetrics equal = metrics_of(linear_model(0.2, 0, 1), images, MatrixNorm::kSpectral)[0];
  EXPECT_NEAR(equal.igm_z, 0, 1e-6);
  EXPECT_EQ(equal.igm_z, equal.igm_zero);
  EXPECT_EQ(equal.guess, Guess::kZ);
}

// alpha = exp(-bias) but 1 at token 0; a constant image v makes mean(alpha x) a matrix of rank 1.
TEST(IgmCrm, ConstantImageHasKnownConvergenceRankingMetric) {
  const double bias = 0.7, v = 0.5, t = 16, d = 3, factor = 2;
  const Model model = linear_model(bias, factor, 1);
  const at::Tensor images = at::full({3, 3, 4, 4}, v);
  const double alpha = std::exp(-bias);
  const auto result = [&](MatrixNorm norm) { return metrics_of(model, images, norm)[0]; };
  const double frobenius = v * std::sqrt(d * (1 + (t - 1) * alpha * alpha));
  EXPECT_NEAR(result(MatrixNorm::kFrobenius).crm_x, frobenius, 1e-6);
  EXPECT_NEAR(result(MatrixNorm::kSpectral).crm_x, frobenius, 1e-6);
  EXPECT_NEAR(result(MatrixNorm::kColumnSum).crm_x, v * (1 + (t - 1) * alpha), 1e-6);
  EXPECT_NEAR(result(MatrixNorm::kSpectral).crm_wu, factor, 1e-12);
  EXPECT_NEAR(result(MatrixNorm::kColumnSum).crm_wu, factor, 1e-12);
  EXPECT_NEAR(result(MatrixNorm::kFrobenius).crm_wu, factor * std::sqrt(d), 1e-12);
  EXPECT_EQ(result(MatrixNorm::kSpectral).crm_ws, 0);
  EXPECT_EQ(result(MatrixNorm::kSpectral).crm, result(MatrixNorm::kSpectral).crm_wu);
  EXPECT_DOUBLE_EQ(result(MatrixNorm::kSpectral).crm_percent, 100);
}

TEST(IgmCrm, AgreesWithTheDefinitionImageByImage) {
  const ModelShape shape{
      .image_size = 8, .patch_size = 2, .channels = 64, .blocks = 3, .layers = 2, .classes = 4};
  const Model model = random_model(shape, 5);
  const int64_t n = 4, d = shape.token_width();
  const at::Tensor images = random_images(shape, n, 6);
  for (const MatrixNorm norm : kNorms) {
    const std::vector<BlockMetrics> result = metrics_of(model, images, norm);
    at::Tensor x = patchify(images, 2);
    double total = 0;
    for (const BlockMetrics& metrics : result) total += metrics.crm;
    for (size_t b = 0; b < 3; ++b) {
      const BlockWeights& block = model.blocks[b];
      if (b % 2 == 1) x = x.flip(1);
      const Shifted s = shift_outputs(block_outputs(model, block, x, {}));
      const at::Tensor z = at::exp(-s.a) * (x - s.g);
      const auto residual = [&](const at::Tensor& guess) {
        at::Tensor sum = at::zeros({shape.tokens(), d}, at::kDouble);
        for (int64_t i = 0; i < n; ++i) {
          const Shifted at_guess =
              shift_outputs(block_outputs(model, block, guess.slice(0, i, i + 1), {}));
          sum += (at_guess.a.exp() * z[i] + at_guess.g - x[i])[0].to(at::kDouble);
        }
        return matrix_norm(sum / static_cast<double>(n), norm);
      };
      const at::Tensor zeros = at::cat({x.slice(1, 0, 1), at::zeros_like(x.slice(1, 1))}, 1);
      EXPECT_NEAR(result[b].igm_z / residual(z), 1, 1e-4);
      EXPECT_NEAR(result[b].igm_zero / residual(zeros), 1, 1e-4);
      const double crm_x = matrix_norm((at::exp(-s.a) * x).to(at::kDouble).mean(0), norm);
      const double crm = crm_x * matrix_norm(block.proj_out_weight.slice(0, 0, d), norm) +
                         matrix_norm(block.proj_out_weight.slice(0, d, 2 * d), norm);
      EXPECT_NEAR(result[b].crm / crm, 1, 1e-6);
      EXPECT_NEAR(result[b].crm_percent, 100 * crm / total, 1e-4);
      x = b % 2 == 1 ? z.flip(1) : z;
    }
  }
}

IgmCrm labelled_sums(const Model& model, const at::Tensor& images, const Labels& labels,
                     int64_t batch) {
  IgmCrm metrics(model);
  for (int64_t first = 0; first < images.size(0); first += batch) {
    const int64_t last = std::min(first + batch, images.size(0));
    metrics.add(images.slice(0, first, last),
                labels.empty() ? labels : Labels(labels.begin() + first, labels.begin() + last));
  }
  return metrics;
}

// Sums are float64, so that what differs is the model's own float32 rounding, which depends on how
// many rows a matrix product has.
class BatchSize : public testing::TestWithParam<Labels> {};

TEST_P(BatchSize, DoesNotMatter) {
  const Labels labels = GetParam();
  const ModelShape shape{
      .image_size = 8, .patch_size = 2, .channels = 64, .blocks = 2, .layers = 1, .classes = 4};
  const Model model = random_model(shape, 7);
  const at::Tensor images = random_images(shape, 10, 8);
  const IgmCrm all = labelled_sums(model, images, labels, 10);
  for (const int64_t batch : {1, 2, 3, 4, 7, 9}) {  // 10 = 3 * 3 + 1 = 7 + 3 = 9 + 1
    const IgmCrm split = labelled_sums(model, images, labels, batch);
    EXPECT_EQ(split.count(), 10);
    for (const MatrixNorm norm : kNorms) {
      const std::vector<BlockMetrics> whole = all.result(norm), parts = split.result(norm);
      for (size_t b = 0; b < whole.size(); ++b) {
        EXPECT_NEAR(parts[b].igm_z / whole[b].igm_z, 1, 1e-5);
        EXPECT_NEAR(parts[b].igm_zero / whole[b].igm_zero, 1, 1e-5);
        EXPECT_NEAR(parts[b].crm / whole[b].crm, 1, 1e-5);
        EXPECT_EQ(parts[b].crm_ws, whole[b].crm_ws);
        EXPECT_EQ(parts[b].guess, whole[b].guess);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(IgmCrm, BatchSize,
                         testing::Values(Labels{}, Labels{0, 1, 2, 3, 0, 1, 2, 3, -1, 2}));

TEST(IgmCrm, LabelsAreThoseOfTheForwardPass) {
  const ModelShape shape{
      .image_size = 8, .patch_size = 2, .channels = 64, .blocks = 1, .layers = 1, .classes = 4};
  const Model model = random_model(shape, 11);
  const at::Tensor images = random_images(shape, 3, 12);
  const auto crm_x = [&](const Labels& labels) {
    return labelled_sums(model, images, labels, 3).result(MatrixNorm::kFrobenius)[0].crm_x;
  };
  const at::Tensor x = patchify(images, 2);
  const Shifted s = shift_outputs(block_outputs(model, model.blocks[0], x, {3, 1, 0}));
  EXPECT_NEAR(crm_x({3, 1, 0}),
              matrix_norm((at::exp(-s.a) * x).to(at::kDouble).mean(0), MatrixNorm::kFrobenius),
              1e-6);
  EXPECT_NE(crm_x({3, 1, 0}), crm_x({0, 1, 3}));
  EXPECT_EQ(crm_x({-1, -1, -1}), crm_x({})) << "-1 is the mean over classes";
  IgmCrm metrics(model);
  EXPECT_THROW(metrics.add(images, {0, 1}), Error);
  EXPECT_THROW(metrics.add(images, {0, 1, 4}), Error);
}

TEST(IgmCrm, ResultBetweenBatchesIsOfWhatWasSeen) {
  const Model model = linear_model(0.1, 0.5, 1);
  const at::Tensor images = random_images(model.shape, 4, 9);
  IgmCrm metrics(model);
  metrics.add(images.slice(0, 0, 2));
  const double before = metrics.result(MatrixNorm::kFrobenius)[0].crm_x;
  metrics.add(images.slice(0, 2, 4));
  EXPECT_NEAR(before, metrics_of(model, images.slice(0, 0, 2), MatrixNorm::kFrobenius)[0].crm_x,
              1e-9);
  EXPECT_NE(before, metrics.result(MatrixNorm::kFrobenius)[0].crm_x);
}

TEST(IgmCrm, OverflowIsAnErrorThatNamesTheBlock) {
  const Model model = linear_model(-200, 1, 1);  // alpha = exp(200) overflows in fp32
  try {
    metrics_of(model, random_images(model.shape, 2, 10), MatrixNorm::kSpectral);
    FAIL() << "an infinite CRM was given";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the IGM or CRM of block 0 is not finite"));
  }
}

TEST(IgmCrm, BadInputIsAnError) {
  const Model model = linear_model(0, 0.5, 1);
  IgmCrm metrics(model);
  EXPECT_THROW(metrics.result(MatrixNorm::kSpectral), Error);
  try {
    metrics.add(at::zeros({2, 3, 8, 8}));
    FAIL() << "images of another size were taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("(N, 3, 4, 4)"));
  }
  EXPECT_THROW(metrics.add(at::zeros({3, 4, 4})), Error);
  EXPECT_EQ(metrics.count(), 0);
}

}  // namespace
}  // namespace tarflow::metrics
