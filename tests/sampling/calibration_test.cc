// Calibrations of the adaptive window in parts, as little memory asks for them.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/sampling/linear_model.h"
#include "framework/tensor/noise.h"
#include "tests/support/linear_flow.h"

namespace tarflow {
namespace {

TEST(CalibrationParts, GiveWhatTheWholeGives) {
  const Model model = random_model(kSmallShape, 71);
  constexpr int64_t kImages = 5;
  const at::Tensor noise = noise_of(kSmallShape, 72, kImages);
  for (const Labels& labels : {Labels{0, 3, 1, 2, 0}, Labels{}, Labels{2}}) {
    const Calibration whole = calibrate(model, noise, labels);
    for (const int64_t at_once : {int64_t{1}, int64_t{2}, int64_t{5}, int64_t{9}}) {
      const Calibration parts = calibrate(model, noise, labels, {}, at_once);
      ASSERT_EQ(parts.blocks.size(), whole.blocks.size());
      for (size_t b = 0; b < whole.blocks.size(); ++b) {
        EXPECT_TRUE(at::allclose(parts.blocks[b].j, whole.blocks[b].j, 1e-3, 1e-4)) << at_once;
        EXPECT_TRUE(at::allclose(parts.blocks[b].j0, whole.blocks[b].j0, 1e-3, 1e-4));
        EXPECT_TRUE(at::allclose(parts.blocks[b].up, whole.blocks[b].up, 1e-3, 1e-3));
        EXPECT_NEAR(parts.blocks[b].clip, whole.blocks[b].clip, 1e-3);
      }
    }
  }
}

}  // namespace
}  // namespace tarflow
