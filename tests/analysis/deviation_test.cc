#include "analysis/data/deviation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "framework/core/error.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// One value an image, in all of its 3x2x2 values.
record::Array flat_images(const std::vector<float>& values) {
  std::vector<float> all;
  for (const float value : values) all.insert(all.end(), 12, value);
  return testing::images_array(static_cast<int64_t>(values.size()), 2, all);
}

TEST(Deviation, IsTheImagesRmsOverTheReferencesRms) {
  // Reference rms: sqrt((1 + 9 + 9 + 1) / 4) = sqrt(5); differences 0, 1, 2, 3.
  const Deviation result = deviation(flat_images({1, 2, 5, 2}), flat_images({1, 3, 3, -1}));
  EXPECT_EQ(result.images, 4u);
  EXPECT_EQ(result.nonfinite, 0u);
  EXPECT_NEAR(result.median, 1.5 / std::sqrt(5.0), 1e-12);
  EXPECT_NEAR(result.p99, 2.97 / std::sqrt(5.0), 1e-12);
}

TEST(Deviation, IsRmsWithinAnImage) {
  std::vector<float> image(12, 1.0f), reference(12, 1.0f);
  image[5] = 4.0f;  // one of 12 values differs by 3: rms sqrt(9/12)
  const Deviation result =
      deviation(testing::images_array(1, 2, image), testing::images_array(1, 2, reference));
  EXPECT_NEAR(result.median, std::sqrt(0.75), 1e-12);
}

TEST(Deviation, OfEqualImagesIsZero) {
  const Deviation result = deviation(flat_images({1, -2}), flat_images({1, -2}));
  EXPECT_EQ(result.median, 0);
  EXPECT_EQ(result.p99, 0);
}

TEST(Deviation, ComparesTheImagesBothHave) {
  EXPECT_EQ(deviation(flat_images({1, 2, 3}), flat_images({1, 2})).images, 2u);
}

TEST(Deviation, CountsImagesThatAreNotFiniteAsInfinitelyFar) {
  const Deviation result = deviation(flat_images({1, 1, kNaN}), flat_images({1, 1, 1}));
  EXPECT_EQ(result.nonfinite, 1u);
  EXPECT_EQ(result.median, 0);
  EXPECT_TRUE(std::isinf(result.p99));
  const Deviation passed_over = deviation(flat_images({1, 2}), flat_images({1, kNaN}));
  EXPECT_EQ(passed_over.images, 1u);
  EXPECT_EQ(passed_over.median, 0);
}

TEST(Deviation, RefusesWhatCannotBeCompared) {
  const record::Array larger = testing::images_array(1, 4, std::vector<float>(48, 1.0f));
  EXPECT_THROW(deviation(larger, flat_images({1})), Error);
  EXPECT_THROW(deviation(flat_images({1}), flat_images({0})), Error);
  EXPECT_THROW(deviation(flat_images({1}), flat_images({kNaN})), Error);
}

}  // namespace
}  // namespace tarflow::analysis
