#include "framework/images/grid.h"

#include <gmock/gmock.h>

#include "framework/images/text.h"
#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

using ::testing::HasSubstr;

constexpr Color kRed = {255, 0, 0}, kGreen = {0, 255, 0}, kBlue = {0, 0, 255},
                kWhite = {255, 255, 255};

Color at(const Image& image, int x, int y) {
  const uint8_t* pixel = image.row(y) + 3 * x;
  return {pixel[0], pixel[1], pixel[2]};
}

TEST(Grid, PlacesImagesRowByRowWithPaddingAround) {
  const std::vector<Image> images = {blank(2, 2, kRed), blank(2, 2, kGreen), blank(2, 2, kBlue)};
  const Image image = grid(images, {.columns = 2, .padding = 1});
  ASSERT_EQ(image.width, 7);
  ASSERT_EQ(image.height, 7);
  const std::string rows[] = {".......", ".rr.gg.", ".rr.gg.", ".......",
                              ".bb....", ".bb....", "......."};
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 7; ++x) {
      const char c = rows[y][x];
      EXPECT_EQ(at(image, x, y), c == 'r'   ? kRed
                                 : c == 'g' ? kGreen
                                 : c == 'b' ? kBlue
                                            : kWhite)
          << x << y;
    }
  }
}

TEST(Grid, FewerImagesThanColumnsTakeNoMoreRoom) {
  const std::vector<Image> images = {pattern(3, 5)};
  EXPECT_EQ(grid(images, {.columns = 8, .padding = 0}), images[0]);
}

TEST(Grid, ZoomRepeatsPixels) {
  const std::vector<Image> images = {pattern(3, 2)};
  const Image zoomed = grid(images, {.columns = 1, .padding = 2, .zoom = 4});
  ASSERT_EQ(zoomed.width, 3 * 4 + 4);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 12; ++x) EXPECT_EQ(at(zoomed, x + 2, y + 2), at(images[0], x / 4, y / 4));
  }
}

TEST(Grid, CellsAreAsLargeAsTheLargestImage) {
  const std::vector<Image> images = {blank(1, 4, kRed), blank(3, 1, kGreen)};
  const Image image = grid(images, {.columns = 2, .padding = 0, .background = kBlue});
  EXPECT_EQ(image.width, 6);
  EXPECT_EQ(image.height, 4);
  EXPECT_EQ(at(image, 0, 3), kRed);
  EXPECT_EQ(at(image, 1, 0), kBlue);
  EXPECT_EQ(at(image, 5, 0), kGreen);
  EXPECT_EQ(at(image, 5, 1), kBlue);
}

TEST(Grid, ImpossibleGridsAreErrors) {
  const std::vector<Image> images = {pattern(2, 2)};
  EXPECT_THAT(error_of([&] { grid({}, {}); }), HasSubstr("at least one image"));
  EXPECT_THAT(error_of([&] { grid(images, {.columns = 0}); }), HasSubstr("0 columns"));
  EXPECT_THAT(error_of([&] { grid(images, {.padding = -1}); }), HasSubstr("padding -1"));
  EXPECT_THAT(error_of([&] { grid(images, {.zoom = 0}); }), HasSubstr("zoom 0"));
  EXPECT_THAT(error_of([&] { grid(images, {.zoom = 1'000'000}); }), HasSubstr("too large"));
  EXPECT_THAT(error_of([&] { grid(std::vector<Image>(1), {}); }), HasSubstr("without pixels"));
}

TEST(Strips, RowsStandUnderTheirLabelsAndColumnsUnderTheirHeadings) {
  const std::vector<StripRow> rows = {{"For", {blank(9, 4, kRed), blank(9, 4, kGreen)}},
                                      {"", {blank(9, 4, kBlue)}}};
  const Image image = strips(rows, {"a", "b"}, {.padding = 2});
  const int line = kGlyphHeight + 1 + 2;
  ASSERT_EQ(image.height, 2 + line + line + (4 + 2) + (4 + 2));
  ASSERT_EQ(image.width, 2 + 2 * (9 + 2));
  // The same, put together by hand.
  Image want = blank(image.width, image.height, kWhite);
  draw_text(want, 2, 2, "a", {0, 0, 0});
  draw_text(want, 13, 2, "b", {0, 0, 0});
  draw_text(want, 2, 2 + line, "For", {0, 0, 0});
  const auto fill = [&](int left, int top, Color color) {
    for (int y = top; y < top + 4; ++y) {
      for (int x = left; x < left + 9; ++x)
        std::copy(color.begin(), color.end(), want.row(y) + 3 * x);
    }
  };
  fill(2, 2 + 2 * line, kRed);
  fill(13, 2 + 2 * line, kGreen);
  fill(2, 2 + 2 * line + 6, kBlue);
  EXPECT_EQ(image, want);
}

TEST(Strips, WideEnoughForTheLongestText) {
  const std::string label = "a label much longer than its row of images";
  const std::vector<StripRow> rows = {{label, {blank(4, 4, kRed)}}};
  EXPECT_EQ(strips(rows, {}, {.padding = 2}).width, text_width(label) + 4);
  const std::vector<StripRow> plain = {{"", {blank(4, 4, kRed), blank(4, 4, kRed)}}};
  EXPECT_EQ(strips(plain, {"denoised"}, {.padding = 2}).width,
            2 + 2 * (text_width("denoised") + 2));
}

TEST(Strips, ImpossibleStripsAreErrors) {
  EXPECT_THAT(error_of([] { strips({}, {}); }), HasSubstr("at least one image"));
  const std::vector<StripRow> empty = {{"x", {}}};
  EXPECT_THAT(error_of([&] { strips(empty, {}); }), HasSubstr("at least one image"));
  const std::vector<StripRow> rows = {{"x", {pattern(2, 2)}}};
  EXPECT_THAT(error_of([&] { strips(rows, {}, {.text_scale = 0}); }), HasSubstr("text scale 0"));
}

}  // namespace
}  // namespace tarflow::images
