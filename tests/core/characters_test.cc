#include "framework/core/characters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"

namespace tarflow {
namespace {

using ::testing::HasSubstr;

TEST(Characters, ThoseThatAreNotSeenAreFound) {
  const std::pair<const char*, char32_t> texts[] = {
      {"1\u00A0", 0xA0},   {"1\u200B", 0x200B}, {"1\uFEFF", 0xFEFF},     {"1\u2028", 0x2028},
      {"1\u2029", 0x2029}, {"1\u202A", 0x202A}, {"1\u202E", 0x202E},     {"1\u00AD", 0xAD},
      {"1\u200D", 0x200D}, {"1\u2060", 0x2060}, {"1\u3000", 0x3000},     {"1\u0085", 0x85},
      {"1\u2066", 0x2066}, {"1\u180E", 0x180E}, {"1\U000E0041", 0xE0041}};
  for (const auto& [text, code] : texts) {
    const auto found = find_invisible(text);
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->at, 1u) << text;
    EXPECT_EQ(found->code, code) << text;
  }
}

TEST(Characters, WhatIsSeenIsNotAmongThem) {
  for (const char* text : {"", "a b\tc\r\n", "Zürich", "画像", "−1", "“x”", "❤️", "👩‍🔬",
                           "می‌خواهم", "\xff\xc2", "\xe2\x80"}) {
    EXPECT_FALSE(find_invisible(text)) << text;
  }
  EXPECT_FALSE(find_invisible("\u00A0b", 2));
}

TEST(Characters, AreNamedWithTheirCodePoint) {
  EXPECT_EQ(character_name(0xA0), "U+00A0 (no-break space)");
  EXPECT_EQ(character_name(0x0441), "U+0441");
  EXPECT_EQ(character_name(0xE0041), "U+E0041");
}

TEST(Characters, ThatLookLikeOthersAreNamed) {
  EXPECT_EQ(ascii_repair("−1"), "it holds U+2212 (minus sign): write `-`");
  EXPECT_EQ(ascii_repair("–dry-run"), "it holds U+2013 (en dash): write `-`");
  EXPECT_EQ(ascii_repair("“1”"), "it holds U+201C (left double quotation mark): write `\"`");
  EXPECT_EQ(ascii_repair("1２"), "it holds U+FF12: write `2`");
  EXPECT_EQ(ascii_repair("1\u200B"), "it holds U+200B (zero width space): remove it");
  EXPECT_EQ(ascii_repair("-1"), "");
}

TEST(Characters, OfAMisspelledWordAreNamed) {
  EXPECT_EQ(did_you_mean("сfg", {"cfg", "seed"}), "did you mean `cfg`? (it holds U+0441)");
  EXPECT_EQ(did_you_mean("cfgg", {"cfg", "seed"}), "did you mean `cfg`?");
  EXPECT_EQ(did_you_mean("zurich", {"zürich"}), "did you mean `zürich`?");
  EXPECT_EQ(did_you_mean("zürih", {"zürich"}), "did you mean `zürich`?");
}

}  // namespace
}  // namespace tarflow
