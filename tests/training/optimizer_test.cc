#include "framework/training/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "framework/training/schedule.h"
#include "tests/training/small_training.h"

namespace tarflow::training {
namespace {

TEST(ScheduleTest, IsThePublishedFormula) {
  const Schedule schedule{.largest = 1e-2, .smallest = 1e-4, .warm_up = 10, .steps = 30};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 0), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 5), 1e-4 + 0.5 * (1e-2 - 1e-4));
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 10), 1e-2);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 20), 1e-4 + 0.5 * (1e-2 - 1e-4));
  EXPECT_NEAR(learning_rate(schedule, 30), 1e-4, 1e-18);
  EXPECT_NEAR(learning_rate(schedule, 99), 1e-4, 1e-18);
}

TEST(ScheduleTest, WithoutWarmUpBeginsAtTheLargest) {
  const Schedule schedule{.largest = 1e-2, .smallest = 1e-4, .warm_up = 0, .steps = 30};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 0), 1e-2);
  EXPECT_LT(learning_rate(schedule, 1), 1e-2);
}

TEST(OptimizerTest, IsAdamW) {
  const AdamW settings{.beta1 = 0.8, .beta2 = 0.9, .epsilon = 1e-3, .weight_decay = 0.1};
  at::Tensor row = at::tensor({1.0f, -2.0f, 0.5f});
  OptimizerState state = initial_state(row);
  double weight[3] = {1, -2, 0.5}, mean[3] = {}, square[3] = {};
  for (int k = 1; k <= 4; ++k) {
    const at::Tensor gradient = at::tensor({0.1f * k, -0.3f, 0.0f});
    const double exact[3] = {0.1 * k, -0.3, 0};
    update(settings, 0.01 * k, row, gradient, at::tensor(2.0f), state);
    for (int i = 0; i < 3; ++i) {
      const double g = exact[i] / 2, rate = 0.01 * k;
      weight[i] *= 1 - rate * 0.1;
      mean[i] = 0.8 * mean[i] + 0.2 * g;
      square[i] = 0.9 * square[i] + 0.1 * g * g;
      weight[i] -= rate * mean[i] / (1 - std::pow(0.8, k)) /
                   (std::sqrt(square[i] / (1 - std::pow(0.9, k))) + 1e-3);
    }
  }
  EXPECT_EQ(state.updates, 4);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(row[i].item<double>(), weight[i], 1e-6);
}

TEST(OptimizerTest, ClippingLimitsTheNorm) {
  const ParameterLayout layout(kTinyShape);
  const at::Tensor row = some_row(layout, 2);
  const at::Tensor norm = norm_of(layout, row);
  EXPECT_NEAR(norm.item<double>(), row.to(at::kDouble).norm().item<double>(), 1e-9);
  EXPECT_EQ(clip_divisor(norm, 1e9).item<float>(), 1);
  const at::Tensor clipped = row / clip_divisor(norm, 0.5);
  EXPECT_NEAR(norm_of(layout, clipped).item<double>(), 0.5, 1e-5);
}

TEST(OptimizerTest, TheAverageFollows) {
  const at::Tensor average = at::tensor({1.0f, 2.0f});
  follow(average, at::tensor({2.0f, 0.0f}), 0.75);
  EXPECT_TRUE(at::allclose(average, at::tensor({1.25f, 1.5f})));
}

}  // namespace
}  // namespace tarflow::training
