#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "analysis/show/format.h"
#include "analysis/show/markdown.h"
#include "analysis/show/text.h"
#include "analysis/show/width.h"

namespace tarflow::analysis {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Table example() {
  Table table;
  table.title = "Title";
  table.introduction = "One line.";
  table.columns = {{"block", Align::kLeft}, {"a_b"}, {"other"}};
  table.rows = {{{"0"}, {"5.00", true}, {"—", false, "why"}},
                {{"1"}, {"12.50"}, {"3", true, "again"}}};
  table.footnotes = {"About all."};
  return table;
}

int widest_line(const std::string& text) {
  int widest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) widest = std::max(widest, display_width(line));
  return widest;
}

TEST(Width, CountsTerminalColumns) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("—ᵃ×"), 3);
  EXPECT_EQ(display_width("日本"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("\xff\xfe"), 2);
  EXPECT_EQ(display_width(""), 0);
}

TEST(Wrap, BreaksAtSpacesAndInsideLongWords) {
  EXPECT_THAT(wrap("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap("abcdefgh ij", 3), ElementsAre("abc", "def", "gh", "ij"));
  EXPECT_THAT(wrap("", 5), ElementsAre(""));
  EXPECT_THAT(wrap("a\nb", 5), ElementsAre("a b"));
  EXPECT_THAT(wrap("x\033[31my", 9), ElementsAre("x?[31my"));  // a terminal gets no foreign escapes
}

TEST(Text, AlignsColumnsMarksAndBold) {
  EXPECT_EQ(render_text(example(), {}),
            "Title\n"
            "One line.\n"
            "────────────────────\n"
            "block     a_b  other\n"
            "────────────────────\n"
            "0      *5.00*    —ᵃ\n"
            "1      12.50    *3*ᵇ\n"
            "────────────────────\n"
            "ᵃ why\n"
            "ᵇ again\n"
            "About all.\n");
}

TEST(Text, UsesTerminalBoldWhereItCan) {
  const std::string text = render_text(example(), {.bold = true});
  EXPECT_THAT(text, HasSubstr("\033[1m5.00\033[0m"));
  EXPECT_THAT(text, HasSubstr("\033[1mTitle\033[0m"));
}

TEST(Text, KeepsToItsWidth) {
  Table table;
  table.title = "wide";
  table.columns = {{"strategy", Align::kLeft}};
  std::vector<Cell> row = {{"a label of many words that may be wrapped into several lines"}};
  for (int i = 0; i < 20; ++i) {
    table.columns.push_back({"some header " + std::to_string(i)});
    row.push_back({std::to_string(1000000 + i)});
  }
  table.rows = {row};
  const std::string text = render_text(table, {.width = 60});
  EXPECT_LE(widest_line(text), 60);
  for (int i = 0; i < 20; ++i) EXPECT_THAT(text, HasSubstr(std::to_string(1000000 + i)));
  size_t parts = 0;  // the label is repeated in each part
  for (size_t at = text.find("a label"); at != std::string::npos; at = text.find("a label", at + 1))
    ++parts;
  EXPECT_GT(parts, 1u);
}

TEST(Markdown, EscapesAndMarks) {
  EXPECT_EQ(render_markdown(example()),
            "## Title\n\nOne line.\n\n"
            "| block | a\\_b | other |\n"
            "| :--- | ---: | ---: |\n"
            "| 0 | **5.00** | —ᵃ |\n"
            "| 1 | 12.50 | **3**ᵇ |\n"
            "\nᵃ why\n\nᵇ again\n\nAbout all.\n");
}

TEST(Markdown, CellsCannotBreakTheTable) {
  Table table = example();
  table.rows[0][0].text = "a|b\n*c*";
  EXPECT_THAT(render_markdown(table), HasSubstr("| a\\|b \\*c\\* |"));
}

TEST(Markdown, ReportHasPicturesAndLists) {
  const Report report{"Results", {"summary"}, {}, {{"grid.png", "Samples.", {"For", "[7-8]"}}},
                      {"all"},   {"bad"}};
  EXPECT_EQ(render_markdown(report),
            "# Results\n\nsummary\n\n## grid\n\n![Samples.](<grid.png>)\n\nSamples.\n\n1. For\n"
            "2. \\[7-8\\]\n\n## Points\n\n- all\n\n## Problems\n\n- bad\n");
}

TEST(Notes, MarksGoOnAfterTheAlphabet) {
  EXPECT_EQ(note_mark(0), "ᵃ");
  EXPECT_EQ(note_mark(24), "ᶻ");
  EXPECT_EQ(note_mark(25), "ᵃᵃ");
}

TEST(Format, KeepsDigits) {
  EXPECT_EQ(decimals_for({133.19, std::nullopt}), 2);
  EXPECT_EQ(decimals_for({0.5, 20.0}), 3);
  EXPECT_EQ(decimals_for({0.04}), 4);
  EXPECT_EQ(decimals_for({0.0}), 2);
  EXPECT_EQ(fixed(std::nullopt, 2), kNoValue);
  EXPECT_EQ(deviation_text(0), "0");
  EXPECT_EQ(deviation_text(0.05321), "0.0532");
  EXPECT_EQ(deviation_text(3.14e-7), "3.1e-07");
  EXPECT_EQ(deviation_text(1.0 / 0.0), "inf");
  EXPECT_EQ(count_text(50000), "50,000");
  EXPECT_EQ(count_text(1234567), "1,234,567");
  EXPECT_EQ(count_text(100), "100");
}

}  // namespace
}  // namespace tarflow::analysis
