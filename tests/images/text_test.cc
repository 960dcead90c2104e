#include "framework/images/text.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

constexpr Color kBlack = {0, 0, 0};
constexpr Color kWhite = {255, 255, 255};

Image drawn(std::string_view text, int scale = 1) {
  Image image = blank(text_width(text, scale), kGlyphHeight * scale, kBlack);
  draw_text(image, 0, 0, text, kWhite, scale);
  return image;
}

std::string as_art(const Image& image) {
  std::string art;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) art += image.row(y)[3 * x] ? '#' : '.';
    art += '\n';
  }
  return art;
}

TEST(Text, LooksLikeLetters) {
  EXPECT_EQ(as_art(drawn("TF7")),
            "#####.#####.#####\n"
            "..#...#.........#\n"
            "..#...#........#.\n"
            "..#...####....#..\n"
            "..#...#......#...\n"
            "..#...#......#...\n"
            "..#...#......#...\n");
}

TEST(Text, EveryPrintableCharacterHasItsOwnShape) {
  std::set<std::string> shapes;
  for (char c = ' '; c <= '~'; ++c) shapes.insert(as_art(drawn(std::string(1, c))));
  EXPECT_EQ(shapes.size(), 95u);
  EXPECT_EQ(shapes.count(as_art(drawn("\n"))), 0u);  // the box of all others
}

TEST(Text, OtherCharactersAreOneBoxEach) {
  EXPECT_EQ(text_width("\xc3\xa9"), text_width("e"));
  EXPECT_EQ(drawn("\xc3\xa9"), drawn("\xe2\x82\xac"));
  EXPECT_NE(drawn("\xc3\xa9"), drawn("e"));
}

TEST(Text, WidthGrowsByAdvanceAndScale) {
  EXPECT_EQ(text_width(""), 0);
  EXPECT_EQ(text_width("a"), 5);
  EXPECT_EQ(text_width("abc"), 17);
  EXPECT_EQ(text_width("abc", 3), 51);
}

TEST(Text, ScalingEnlargesEveryDot) {
  const Image small = drawn("k"), large = drawn("k", 3);
  for (int y = 0; y < large.height; ++y) {
    for (int x = 0; x < large.width; ++x) {
      EXPECT_EQ(large.row(y)[3 * x], small.row(y / 3)[3 * (x / 3)]);
    }
  }
}

TEST(Text, OutsideTheImageNothingIsDrawn) {
  const Image whole = drawn("W");
  for (int dx = -6; dx <= 6; ++dx) {
    for (int dy = -8; dy <= 8; ++dy) {
      Image image = blank(5, 7, kBlack);
      draw_text(image, dx, dy, "W", kWhite);
      for (int y = 0; y < 7; ++y) {
        for (int x = 0; x < 5; ++x) {
          const bool inside = x - dx >= 0 && x - dx < 5 && y - dy >= 0 && y - dy < 7;
          EXPECT_EQ(image.row(y)[3 * x], inside ? whole.row(y - dy)[3 * (x - dx)] : 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tarflow::images
