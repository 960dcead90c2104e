#include "framework/images/image.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Image, BlankHasOneColour) {
  EXPECT_THAT(blank(2, 1, {1, 2, 3}).rgb, ElementsAre(1, 2, 3, 1, 2, 3));
}

TEST(Image, ToImageClipsAndTruncates) {
  // 0 -> 127.5 -> 127; 0.999 -> 254.87 -> 254.
  const std::vector<float> chw = {-1, 1, 0, 0.999f, -7, 7};
  EXPECT_THAT(to_image(chw, 2, 1).rgb, ElementsAre(0, 127, 0, 255, 254, 255));
}

TEST(Image, ToImageOfNumbersThatAreNone) {
  const std::vector<float> chw = {kNan, kInfinity, -kInfinity};
  EXPECT_THAT(to_image(chw, 1, 1).rgb, ElementsAre(0, 255, 0));
}

TEST(Image, FloatsOfEveryByteAreWithinHalfAStepOfIt) {
  Image image = blank(256, 1, {0, 0, 0});
  for (int v = 0; v < 256; ++v) image.rgb[3 * v + 1] = static_cast<uint8_t>(v);
  std::vector<float> chw(3 * 256);
  to_floats(image, chw);
  for (int v = 0; v < 256; ++v) {
    EXPECT_EQ(chw[v], -1.0f);
    EXPECT_EQ(chw[256 + v], static_cast<float>(v) / 255.0f * 2.0f - 1.0f);
  }
  // Truncation may lose one step to rounding, never more.
  const Image back = to_image(chw, 256, 1);
  for (size_t i = 0; i < image.rgb.size(); ++i) EXPECT_LE(image.rgb[i] - back.rgb[i], 1) << i;
}

TEST(Image, MinMaxScalesToTheFullRange) {
  const std::vector<float> chw = {5, 7, 6, 5, 7, kNan};
  EXPECT_THAT(to_image_min_max(chw, 2, 1).rgb, ElementsAre(0, 127, 255, 255, 0, 0));
}

TEST(Image, MinMaxOfExtremeValuesDoesNotOverflow) {
  const float most = std::numeric_limits<float>::max();
  EXPECT_THAT(to_image_min_max(std::vector<float>{-most, most, 0}, 1, 1).rgb,
              ElementsAre(0, 255, 127));
}

TEST(Image, MinMaxOfEqualOrNoFiniteValuesIsBlack) {
  EXPECT_EQ(to_image_min_max(std::vector<float>(12, 4.0f), 2, 2), blank(2, 2, {0, 0, 0}));
  EXPECT_EQ(to_image_min_max(std::vector<float>(12, kNan), 2, 2), blank(2, 2, {0, 0, 0}));
}

TEST(Image, GreyIsTheLumaOfPil) {
  Image image = blank(3, 1, {0, 0, 0});
  image.rgb = {77, 77, 77, 255, 0, 0, 10, 200, 30};
  std::vector<float> grey(3);
  to_floats(image, grey);
  const auto level = [](int v) { return static_cast<float>(v) / 255.0f * 2.0f - 1.0f; };
  EXPECT_THAT(grey, ElementsAre(level(77), level(76), level(124)));  // as Image.convert("L")
  EXPECT_THAT(to_image(std::vector<float>{-1, 1, 0}, 3, 1).rgb,
              ElementsAre(0, 0, 0, 255, 255, 255, 127, 127, 127));
}

TEST(Image, WrongSizesAreErrors) {
  std::vector<float> chw(11);
  EXPECT_THAT(error_of([&] { to_image(chw, 2, 2); }),
              HasSubstr("11 values are not an image of 3 x 2 x 2"));
  EXPECT_THAT(error_of([&] { to_image_min_max(chw, 2, 2); }), HasSubstr("11 values"));
  EXPECT_THAT(error_of([&] { to_floats(blank(2, 2, {0, 0, 0}), chw); }), HasSubstr("11 values"));
  EXPECT_THAT(error_of([&] { to_image({}, 0, 0); }), HasSubstr("0 values"));
}

}  // namespace
}  // namespace tarflow::images
