#include "framework/training/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/training/small_training.h"

namespace tarflow::training {
namespace {

Trainer tiny_trainer(int64_t batch, double clip = 0, double ema = 0, Reduction sum = one_rank(),
                     ActivationMemory memory = {}) {
  const Recipe recipe{
      .shape = kTinyShape, .compute = ComputeType::kFloat32, .adamw = {}, .clip = clip, .ema = ema};
  const ParameterLayout layout(kTinyShape);
  return {recipe, batch, initial_state(recipe, some_row(layout, 3)), std::move(sum),
          std::move(memory)};
}

TEST(TrainerTest, TheLossFalls) {
  Trainer trainer = tiny_trainer(4, 1);
  const at::Tensor images = some_images(kTinyShape, 4);
  std::vector<double> losses;
  for (int step = 0; step < 8; ++step) {
    trainer.add(images, {0, 1, 2, -1}, true);
    const StepReport report = trainer.finish(1e-3);
    losses.push_back(report.loss());
    EXPECT_EQ(report.block_squares.size(), 3u);
    EXPECT_NEAR(report.square, 0.5 * report.block_squares.back(), 1e-9);
    EXPECT_GT(report.gradient_norm, 0);
  }
  EXPECT_LT(losses.back(), losses.front() - 0.05);
  EXPECT_EQ(trainer.state().steps, 8);
  EXPECT_EQ(trainer.state().optimizer.updates, 8);
}

TEST(TrainerTest, KeepsAsManyBlocksAsFit) {
  const at::Tensor images = some_images(kTinyShape, 4);
  Trainer plain = tiny_trainer(4);
  plain.add(images, {0, 1, 2, -1}, true);
  EXPECT_EQ(plain.kept_blocks(), 0);
  const int64_t block = plain.block_bytes();
  ASSERT_GT(block, 0);
  int64_t told = 0;
  const auto with = [&](int64_t bytes) {
    return tiny_trainer(4, 0, 0, one_rank(), [&, bytes](int64_t peak) {
      told = peak;
      return bytes;
    });
  };
  for (const auto& [bytes, kept] : {std::pair<int64_t, int>{-1, 0},
                                    {block - 1, 0},
                                    {block, 1},
                                    {100 * block, kTinyShape.blocks - 1}}) {
    Trainer trainer = with(bytes), other = tiny_trainer(4);
    for (int step = 0; step < 3; ++step) {
      for (Trainer* one : {&trainer, &other}) {
        one->add(images, {0, 1, 2, -1}, true);
        one->finish(1e-3);
      }
    }
    EXPECT_EQ(trainer.kept_blocks(), kept);
    EXPECT_GT(told, block);
    EXPECT_TRUE(at::equal(trainer.state().row, other.state().row)) << bytes;
  }
}

TEST(TrainerTest, AStepThatIsNotFiniteIsSkipped) {
  Trainer trainer = tiny_trainer(2, 1, 0.9);
  const at::Tensor images = some_images(kTinyShape, 2);
  const auto step = [&](const at::Tensor& batch) {
    trainer.add(batch, {0, 1}, true);
    return trainer.finish(1e-3);
  };
  step(images);
  const at::Tensor row = trainer.state().row.clone(), average = trainer.state().average.clone(),
                   mean = trainer.state().optimizer.mean.clone();
  const at::Tensor spoilt = images.clone();
  spoilt[1][0][3][3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(step(spoilt).skipped);
  EXPECT_EQ(trainer.state().steps, 2);
  EXPECT_EQ(trainer.state().skipped, 1);
  EXPECT_EQ(trainer.state().optimizer.updates, 1);
  EXPECT_TRUE(at::equal(trainer.state().row, row));
  EXPECT_TRUE(at::equal(trainer.state().average, average));
  EXPECT_TRUE(at::equal(trainer.state().optimizer.mean, mean));
  EXPECT_FALSE(step(images).skipped);
  EXPECT_FALSE(at::equal(trainer.state().row, row));
}

TEST(TrainerTest, PartsOfABatchMakeOneStep) {
  Trainer whole = tiny_trainer(4), parts = tiny_trainer(4);
  const at::Tensor images = some_images(kTinyShape, 4);
  whole.add(images, {0, 1, 2, 3}, true);
  parts.add(images.slice(0, 0, 3), {0, 1, 2}, false);
  parts.add(images.slice(0, 3, 4), {3}, true);
  const StepReport expected = whole.finish(1e-3), found = parts.finish(1e-3);
  EXPECT_NEAR(found.loss(), expected.loss(), 1e-6);
  EXPECT_NEAR(found.gradient_norm, expected.gradient_norm, 1e-5 * expected.gradient_norm);
}

TEST(TrainerTest, RanksAddUp) {
  // The other rank has the same images: sums are doubled.
  std::vector<at::Tensor> begun;
  bool finished = false;
  Trainer two = tiny_trainer(4, 0, 0,
                             {[&](const at::Tensor& sum) { begun.push_back(sum); },
                              [&] {
                                for (at::Tensor& sum : begun) sum.mul_(2);
                                finished = true;
                              }});
  Trainer one = tiny_trainer(2);
  const at::Tensor images = some_images(kTinyShape, 2);
  two.add(images, {0, 1}, true);
  EXPECT_EQ(begun.size(), 3u);  // a block each
  one.add(images, {0, 1}, true);
  const StepReport expected = one.finish(1e-3), found = two.finish(1e-3);
  EXPECT_TRUE(finished);
  EXPECT_EQ(begun.size(), 4u);
  EXPECT_NEAR(found.loss(), expected.loss(), 1e-12);
  EXPECT_NEAR(found.gradient_norm, expected.gradient_norm, 1e-6);
}

TEST(TrainerTest, TheVarianceOfAVolumePreservingModelFollowsItsLatents) {
  const ModelShape shape = volume_preserving(kTinyShape);
  const Recipe recipe{.shape = shape, .compute = ComputeType::kFloat32, .adamw = {}};
  const ParameterLayout layout(shape);
  Trainer trainer(recipe, 4, initial_state(recipe, some_row(layout, 3)));
  const at::Tensor images = some_images(shape, 4);
  const Model before = trainer.model(ComputeType::kFloat32);
  const at::Tensor expected = 0.9 + 0.1 * forward(before, images, {0, 1, 2, 3}).z.square().mean(0);
  trainer.add(images.slice(0, 0, 2), {0, 1}, false);
  trainer.add(images.slice(0, 2, 4), {2, 3}, true);
  const StepReport report = trainer.finish(1e-3);
  EXPECT_EQ(report.logdet, 0);
  EXPECT_TRUE(at::allclose(trainer.state().var, expected, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(trainer.model(ComputeType::kFloat32).prior_std, expected.sqrt()));

  Trainer other = tiny_trainer(4);
  other.add(images, {0, 1, 2, 3}, true);
  other.finish(1e-3);
  EXPECT_TRUE(at::equal(other.state().var, at::ones_like(other.state().var)));
}

TEST(TrainerTest, TheAverageBeginsAtTheInitialWeights) {
  Trainer trainer = tiny_trainer(2, 0, 0.9);
  const at::Tensor before = trainer.state().row.clone();
  trainer.add(some_images(kTinyShape, 2), {0, 1}, true);
  trainer.finish(1e-3);
  EXPECT_TRUE(at::allclose(trainer.state().average, 0.9 * before + 0.1 * trainer.state().row));
  EXPECT_FALSE(at::equal(trainer.model(ComputeType::kFloat32, true).blocks[0].proj_in_weight,
                         trainer.model(ComputeType::kFloat32).blocks[0].proj_in_weight));
}

}  // namespace
}  // namespace tarflow::training
