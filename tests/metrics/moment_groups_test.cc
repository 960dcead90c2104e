#include "framework/metrics/moment_groups.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "tests/support/random_model.h"

namespace tarflow::metrics {
namespace {

Moments moments_of(const at::Tensor& features) {
  Moments moments;
  moments.add(features);
  return moments;
}

void expect_same_bits(const Moments& a, const Moments& b) {
  EXPECT_EQ(a.count, b.count);
  EXPECT_TRUE(a.sum.equal(b.sum));
  EXPECT_TRUE(a.outer.equal(b.outer));
}

TEST(MomentGroups, EveryChunkIsAGroupWhileTheyFit) {
  EXPECT_EQ(moment_group_count(3, 96), 3);
  EXPECT_EQ(moment_group_count(910, 96), 910);
  EXPECT_EQ(moment_group_count(911, 96), 910) << "64 MiB hold 910 matrices of 96 x 96";
  EXPECT_EQ(moment_group_count(4, 2048), 4);
  EXPECT_EQ(moment_group_count(782, 2048), 10) << "335 MB instead of 26 GB";
}

TEST(MomentGroups, ASumAChunkIsKeptAsItIs) {
  RandomTensors random(1);
  MomentGroups groups(3, 4);
  std::vector<Moments> chunks;
  for (int64_t c = 0; c < 3; ++c) {
    const at::Tensor features = random.normal({5, 4}, 1.0);
    chunks.push_back(moments_of(features));
    groups.add(c, moments_of(features));
  }
  ASSERT_EQ(groups.groups().size(), 3u);
  for (size_t c = 0; c < 3; ++c) expect_same_bits(groups.groups()[c], chunks[c]);
  expect_same_bits(groups.total(), combine(chunks));
}

// Wide enough that 25 chunks go into 10 groups of 2 or 3.
constexpr int64_t kWide = 1000, kChunks = 25;

TEST(MomentGroups, WideFeaturesAreSummedInGroupsOfNeighbours) {
  RandomTensors random(2);
  MomentGroups groups(kChunks, kWide);
  std::vector<std::vector<Moments>> expected(10);
  for (int64_t c = 0; c < kChunks; ++c) {
    const at::Tensor features = random.normal({2, kWide}, 1.0);
    groups.add(c, moments_of(features));
    expected[static_cast<size_t>(c * 10 / kChunks)].push_back(moments_of(features));
  }
  ASSERT_EQ(groups.groups().size(), 10u);
  for (size_t g = 0; g < 10; ++g) {
    EXPECT_EQ(expected[g].size(), g % 2 ? 2u : 3u);
    expect_same_bits(groups.groups()[g], combine(expected[g]));
  }
  EXPECT_EQ(groups.total().count, 2 * kChunks);
}

TEST(MomentGroups, GoingOnGivesTheSameBitsAsNotStopping) {
  RandomTensors random(3);
  MomentGroups undisturbed(kChunks, kWide), before(kChunks, kWide), after(kChunks, kWide);
  for (int64_t c = 0; c < kChunks; ++c) {
    const at::Tensor features = random.normal({2, kWide}, 1.0);
    undisturbed.add(c, moments_of(features));
    (c < 13 ? before : after).add(c, moments_of(features));
    if (c == 12) after.restore(before.groups());  // in the midst of a group
  }
  expect_same_bits(after.total(), undisturbed.total());
}

TEST(MomentGroups, ChunksWithoutSamplesAreNotThere) {
  MomentGroups groups(2, 3);
  groups.add(0, {});
  groups.add(1, moments_of(at::ones({2, 3})));
  EXPECT_EQ(groups.groups()[0].count, 0);
  EXPECT_EQ(groups.total().count, 2);
}

TEST(MomentGroups, OtherWidthsAreRefused) {
  MomentGroups groups(2, 3);
  EXPECT_THROW(groups.add(0, moments_of(at::ones({2, 4}))), Error);
  EXPECT_THROW(groups.restore({moments_of(at::ones({2, 3}))}), Error);
  EXPECT_THROW(groups.restore({moments_of(at::ones({2, 4})), {}}), Error);
}

}  // namespace
}  // namespace tarflow::metrics
