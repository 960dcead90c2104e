#include "framework/training/batches.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "framework/core/error.h"

namespace tarflow::training {
namespace {

int64_t places_kept(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  int64_t kept = 0;
  for (size_t i = 0; i < a.size(); ++i) kept += a[i] == b[i];
  return kept;
}

TEST(BatchesTest, EveryEpochHasAnOrderOfItsOwn) {
  const std::vector<uint32_t> first = epoch_order(1, 0, 1000);
  std::vector<uint32_t> sorted = first, expected(1000);
  std::sort(sorted.begin(), sorted.end());
  std::iota(expected.begin(), expected.end(), 0u);
  EXPECT_EQ(sorted, expected);
  EXPECT_EQ(epoch_order(1, 0, 1000), first);
  // A random permutation keeps one place in the mean.
  EXPECT_LT(places_kept(first, expected), 10);
  EXPECT_LT(places_kept(first, epoch_order(1, 1, 1000)), 10);
  EXPECT_LT(places_kept(first, epoch_order(2, 0, 1000)), 10);
}

TEST(BatchesTest, EveryPlaceIsEquallyLikely) {
  std::vector<int> count(5 * 5);
  for (int64_t epoch = 0; epoch < 2000; ++epoch) {
    const std::vector<uint32_t> order = epoch_order(3, epoch, 5);
    for (size_t i = 0; i < 5; ++i) ++count[5 * i + order[i]];
  }
  for (const int one : count) EXPECT_NEAR(one, 400, 90);  // five standard deviations
}

TEST(BatchesTest, AnEpochShowsEachImageOnceAndDropsTheLastIncompleteBatch) {
  Order order(4, 10, 3);
  EXPECT_EQ(order.steps_per_epoch(), 3);
  std::set<uint32_t> seen;
  for (int64_t step = 0; step < 3; ++step) {
    for (const uint32_t image : order.images_of(step * 3, 3)) seen.insert(image);
  }
  EXPECT_EQ(seen.size(), 9u);
  const std::vector<uint32_t> next = epoch_order(4, 1, 10);
  EXPECT_EQ(order.images_of(9, 3), std::vector<uint32_t>(next.begin(), next.begin() + 3));
}

TEST(BatchesTest, RanksShareABatch) {
  Order one(4, 10, 4), two(4, 10, 4);
  const std::vector<uint32_t> whole = one.images_of(4, 4);
  EXPECT_EQ(two.images_of(6, 2), std::vector<uint32_t>(whole.begin() + 2, whole.end()));
}

TEST(BatchesTest, TooFewImagesForABatch) {
  EXPECT_THROW(Order(1, 3, 4), Error);
  EXPECT_THROW(Order(1, 3, 0), Error);
}

TEST(BatchesTest, DrawsFollowFromTheSampleAlone) {
  const Draws all = draws_of(6, 0, 4000, 0.1), later = draws_of(6, 1000, 5, 0.1);
  EXPECT_TRUE(std::equal(later.flipped.begin(), later.flipped.end(), all.flipped.begin() + 1000));
  EXPECT_TRUE(std::equal(later.dropped.begin(), later.dropped.end(), all.dropped.begin() + 1000));
  const auto count = [](const std::vector<uint8_t>& list) {
    return std::accumulate(list.begin(), list.end(), 0);
  };
  EXPECT_NEAR(count(all.flipped), 2000, 160);
  EXPECT_NEAR(count(all.dropped), 400, 95);
  EXPECT_EQ(count(draws_of(6, 0, 1000, 0).dropped), 0);
  EXPECT_EQ(count(draws_of(6, 0, 1000, 1).dropped), 1000);
  EXPECT_EQ(dropped_labels({5, 6, 7}, {0, 1, 0}), (Labels{5, -1, 7}));
}

TEST(BatchesTest, FlippedImagesAreMirrored) {
  const at::Tensor images = at::arange(12, at::kFloat).view({2, 1, 2, 3});
  const at::Tensor flipped = flipped_images(images, {0, 1});
  EXPECT_TRUE(at::equal(flipped[0], images[0]));
  EXPECT_TRUE(at::equal(flipped[1], images[1].flip(2)));
  EXPECT_FALSE(at::equal(flipped[1], images[1]));
}

TEST(BatchesTest, NoiseIsAddedAsPublished) {
  const at::Tensor levels = at::arange(256, at::kFloat).view({1, 1, 16, 16});
  const at::Tensor images = levels / 255 * 2 - 1;
  const at::Tensor u = training_noise(ImageNoise::kUniform, 2, 0, 1, 256, at::kCPU);
  EXPECT_GE(u.min().item<float>(), 0);
  EXPECT_LT(u.max().item<float>(), 1);
  EXPECT_TRUE(at::allclose(noisy_images(images, u, ImageNoise::kUniform, 0),
                           2 * (levels + u.view_as(levels)) / 256 - 1, 0, 2e-7));
  const at::Tensor n = training_noise(ImageNoise::kNormal, 2, 0, 1, 256, at::kCPU);
  EXPECT_TRUE(at::equal(noisy_images(images, n, ImageNoise::kNormal, 0.25),
                        images + n.view_as(images) * 0.25));
}

TEST(BatchesTest, NoiseIsThatOfTheSample) {
  const at::Tensor all = training_noise(ImageNoise::kNormal, 2, 0, 6, 10, at::kCPU);
  EXPECT_TRUE(
      at::equal(training_noise(ImageNoise::kNormal, 2, 4, 2, 10, at::kCPU), all.slice(0, 4, 6)));
  EXPECT_FALSE(at::equal(all, normal_noise(2, 0, 6, 10, 1, at::kCPU).view({6, 10})));
}

}  // namespace
}  // namespace tarflow::training
