#include "framework/images/resize.h"

#include <gmock/gmock.h>

#ifdef TARFLOW_HAVE_RAPIDCHECK
#include <rapidcheck/gtest.h>
#endif

#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

using ::testing::HasSubstr;

// Up, down, both at once, one axis alone, one pixel, and unchanged: equal to Pillow in every bit.
// (resize.h says which versions.)
TEST(Resize, EqualsPillowInEveryBit) {
  const Json cases = expected().at("resize");
  EXPECT_GE(cases.size(), 15u);
  for (const Json& one : cases) {
    SCOPED_TRACE(one.dump());
    const Image from = pattern(one.at("from")[0], one.at("from")[1]);
    const Image to = resize(from, one.at("to")[0], one.at("to")[1]);
    EXPECT_EQ(to.width, one.at("to")[0]);
    EXPECT_EQ(to.height, one.at("to")[1]);
    EXPECT_EQ(digest(to), one.at("sha256"));
  }
}

// Pillow's resize and crop by torchvision's rules, equal in every bit.
TEST(Resize, PreprocessEqualsPillowInEveryBit) {
  const Json cases = expected().at("preprocess");
  EXPECT_GE(cases.size(), 12u);
  for (const Json& one : cases) {
    SCOPED_TRACE(one.dump());
    const Image from = pattern(one.at("from")[0], one.at("from")[1]);
    const Image to = preprocess(from, one.at("size"));
    EXPECT_EQ(to.width, one.at("size"));
    EXPECT_EQ(to.height, one.at("size"));
    EXPECT_EQ(digest(to), one.at("sha256"));
  }
}

TEST(Resize, OneColourStaysWhateverTheSize) {
  const Color color = {255, 7, 130};
  for (const int width : {1, 2, 31, 400}) {
    EXPECT_EQ(resize(blank(29, 17, color), width, 23), blank(width, 23, color));
  }
}

TEST(Resize, LongSideIsTruncated) {
  EXPECT_EQ(resized_size(500, 375, 128), (Size{170, 128}));  // 170.67
  EXPECT_EQ(resized_size(375, 500, 128), (Size{128, 170}));
  EXPECT_EQ(resized_size(640, 480, 48), (Size{64, 48}));
  EXPECT_EQ(resized_size(33, 33, 64), (Size{64, 64}));
  EXPECT_EQ(resized_size(70'000, 1, 1'000'000), (Size{70'000'000'000, 1'000'000}));
}

// An 8 x 6 image whose red is x and whose green is y.
Image coordinates(int width, int height) {
  Image image = blank(width, height, {0, 0, 0});
  for (int i = 0; i < width * height; ++i) {
    image.rgb[3 * i] = static_cast<uint8_t>(i % width);
    image.rgb[3 * i + 1] = static_cast<uint8_t>(i / width);
  }
  return image;
}

TEST(Resize, CropOffsetsRoundHalfToEven) {
  // (n - 4) / 2 for n = 4 ... 11: 0, .5, 1, 1.5, 2, 2.5, 3, 3.5.
  const int offsets[] = {0, 0, 1, 2, 2, 2, 3, 4};
  for (int n = 4; n <= 11; ++n) {
    const Image wide = center_crop(coordinates(n, 4), 4);
    const Image tall = center_crop(coordinates(4, n), 4);
    EXPECT_EQ(wide.rgb[0], offsets[n - 4]) << n;
    EXPECT_EQ(tall.rgb[1], offsets[n - 4]) << n;
    EXPECT_EQ(wide.rgb[wide.rgb.size() - 3], offsets[n - 4] + 3) << n;
    EXPECT_EQ(tall.rgb[tall.rgb.size() - 2], offsets[n - 4] + 3) << n;
  }
}

TEST(Resize, PreprocessOfTheRightSizeChangesNothing) {
  const Image image = pattern(32, 32);
  EXPECT_EQ(preprocess(image, 32), image);
}

// Resized as a whole this strip would have 256 x 16,777,216 pixels.
TEST(Resize, PreprocessOfAnExtremeAspectRatioNeedsNoMoreThanTheCrop) {
  EXPECT_EQ(preprocess(blank(1, 65536, {9, 8, 7}), 256), blank(256, 256, {9, 8, 7}));
  EXPECT_EQ(preprocess(blank(65536, 1, {9, 8, 7}), 256), blank(256, 256, {9, 8, 7}));
}

TEST(Resize, ImpossibleSizesAreErrors) {
  const Image image = pattern(8, 8);
  EXPECT_THAT(error_of([&] { resize(image, 0, 4); }), HasSubstr("0 x 4"));
  EXPECT_THAT(error_of([&] { resize(image, 4, -1); }), HasSubstr("4 x -1"));
  EXPECT_THAT(error_of([&] { resize(image, 1 << 20, 1 << 20); }), HasSubstr("1048576 x 1048576"));
  EXPECT_THAT(error_of([&] { resize(Image{}, 4, 4); }), HasSubstr("without pixels"));
  EXPECT_THAT(error_of([&] { preprocess(image, 0); }), HasSubstr("0 pixels wide"));
  EXPECT_THAT(error_of([&] { preprocess(Image{}, 4); }), HasSubstr("without pixels"));
  EXPECT_THAT(error_of([&] { center_crop(image, 9); }),
              HasSubstr("8 x 8 pixels cannot be cropped to 9 x 9"));
}

#ifdef TARFLOW_HAVE_RAPIDCHECK
RC_GTEST_PROP(Resize, PreprocessIsTheCropOfTheResized, ()) {
  const Image image = pattern(*rc::gen::inRange(1, 90), *rc::gen::inRange(1, 90));
  const int size = *rc::gen::inRange(1, 70);
  const Size whole = resized_size(image.width, image.height, size);
  RC_ASSERT(std::min(whole.width, whole.height) == size);
  const Image resized =
      resize(image, static_cast<int>(whole.width), static_cast<int>(whole.height));
  RC_ASSERT(preprocess(image, size) == center_crop(resized, size));
}

RC_GTEST_PROP(Resize, FlippingCommutesWithDoubling, ()) {
  // The filter is symmetric; at a whole factor so is its rounding.
  const auto flipped = [](const Image& image) {
    Image mirror = image;
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        std::copy_n(image.row(y) + 3 * (image.width - 1 - x), 3, mirror.row(y) + 3 * x);
      }
    }
    return mirror;
  };
  const Image image = pattern(*rc::gen::inRange(1, 40), *rc::gen::inRange(1, 40));
  const auto doubled = [](const Image& i) { return resize(i, 2 * i.width, 2 * i.height); };
  RC_ASSERT(flipped(doubled(image)) == doubled(flipped(image)));
}
#else
TEST(Resize, Properties) { GTEST_SKIP() << "RapidCheck is not installed"; }
#endif

}  // namespace
}  // namespace tarflow::images
