#include "analysis/regenerate.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "analysis/command.h"
#include "analysis/show/gnuplot.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RegenerateTest : public ::testing::Test {
 protected:
  RegenerateTest() {
    std::string name = (fs::temp_directory_path() / "tarflow-regenerate-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    fs::create_directory(folder_ / "docs");
    record();
  }
  ~RegenerateTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  // A sweep of one strategy that took `seconds`.
  void record(double seconds = 2) {
    record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {"p1"});
    job.rows = {testing::evaluate_row("p1", "j1", "For", "sequential", seconds)};
    job.columns = testing::columns_of(job.rows);
    const fs::path file = folder_ / "j1.h5";
    record::write_job(file, job);
    fs::remove(folder_ / "demo.h5");
    record::merge(folder_ / "demo.h5", "demo", std::vector<fs::path>{file});
  }

  // For at two cfg.
  void two_settings() {
    record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {"p1", "p2"});
    for (const double cfg : {0.0, 1.0}) {
      job.rows.push_back(
          testing::evaluate_row(cfg > 0 ? "p2" : "p1", "j1", "For", "blocks 1-0: sequential", 2));
      job.rows.back()["cfg"] = cfg;
      job.rows.back()["distance"] = 1 + cfg;
    }
    job.columns = testing::columns_of(job.rows);
    record::write_job(folder_ / "j1.h5", job);
    fs::remove(folder_ / "demo.h5");
    record::merge(folder_ / "demo.h5", "demo", std::vector<fs::path>{folder_ / "j1.h5"});
  }

  // One image of For, and of a strategy with its difference.
  void compared(uint8_t grey = 100) {
    record::JobRecord job = testing::make_job("j1", "compare", "small.pth", {"p1"});
    job.rows = {testing::evaluate_row("p1", "j1", "fast", "blocks 1-0: jacobi 4", 2)};
    job.rows.back()["experiment"] = std::string("compare");
    job.columns = testing::columns_of(job.rows);
    for (const char* path : {"compare/against", "compare/p1/images", "compare/p1/difference"}) {
      job.arrays.push_back(
          record::make_array(path, {1, 4, 4, 3}, std::vector<uint8_t>(48, grey), "", ""));
    }
    record::write_job(folder_ / "j1.h5", job);
    fs::remove(folder_ / "demo.h5");
    record::merge(folder_ / "demo.h5", "demo", std::vector<fs::path>{folder_ / "j1.h5"});
  }

  fs::path document(const std::string& text) {
    write_file(folder_ / "docs" / "results.md", text);
    return folder_ / "docs" / "results.md";
  }

  Regenerated made(const std::string& text) {
    return regenerate(document(text), testing::published_file());
  }

  std::string error_of(const std::string& text) {
    try {
      made(text);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  int command(const std::vector<std::string>& words) {
    std::vector<const char*> arguments{"analyze"};
    for (const std::string& word : words) arguments.push_back(word.c_str());
    std::ostringstream out;
    err_.str("");
    return analyze(static_cast<int>(arguments.size()), arguments.data(), out, err_, false);
  }

  fs::path folder_;
  std::ostringstream err_;
};

const std::string kOpen = "<!-- analyze ../demo.h5 -->\n", kClose = "<!-- /analyze -->\n";

TEST_F(RegenerateTest, TablesStandBetweenTheMarksAndTheRestStays) {
  const Regenerated result = made("# Title\n\n" + kOpen + "old\n" + kClose + "after\n");
  EXPECT_TRUE(result.text.starts_with("# Title\n\n" + kOpen + "\n## "));
  EXPECT_TRUE(result.text.ends_with("|\n\n" + kClose + "after\n") ||
              result.text.ends_with("\n" + kClose + "after\n"));
  EXPECT_THAT(result.text, AllOf(HasSubstr("| For |"), Not(HasSubstr("old"))));
  EXPECT_THAT(result.records, ElementsAre(folder_ / "docs/../demo.h5"));
  EXPECT_THAT(result.absent, IsEmpty());
  EXPECT_EQ(made(result.text).text, result.text);
}

TEST_F(RegenerateTest, WordsChooseTables) {
  const std::string all = made(kOpen + kClose).text;
  const std::string some = made("<!-- analyze ../demo.h5: attn_temp -->\n" + kClose).text;
  EXPECT_THAT(some, HasSubstr("attn"));
  EXPECT_LT(some.size(), all.size());
  // In introductions as well, and any of several.
  EXPECT_THAT(made("<!-- analyze ../demo.h5: no such words | seed 0. -->\n" + kClose).text,
              HasSubstr("| For |"));
  EXPECT_THAT(
      error_of("<!-- analyze ../demo.h5: no such words -->\n" + kClose),
      AllOf(HasSubstr("results.md:1"), HasSubstr("no table of ../demo.h5 has `no such words`")));
}

TEST_F(RegenerateTest, TablesOfAnAbsentRecordStay) {
  const std::string text = "<!-- analyze ../none.h5 -->\nkept\n" + kClose;
  const Regenerated result = made(text);
  EXPECT_EQ(result.text, text);
  EXPECT_THAT(result.records, IsEmpty());
  EXPECT_THAT(result.absent, ElementsAre("../none.h5"));
}

TEST_F(RegenerateTest, MarksThatDoNotPairAreErrorsWithTheirLine) {
  EXPECT_THAT(error_of("text\n" + kOpen),
              AllOf(HasSubstr("results.md:2"), HasSubstr("not closed")));
  EXPECT_THAT(error_of(kClose), AllOf(HasSubstr("results.md:1"), HasSubstr("closes nothing")));
  EXPECT_THAT(error_of(kOpen + kOpen + kClose), HasSubstr("results.md:2"));
  EXPECT_THAT(error_of("<!-- analyze ../demo.h5\n" + kClose), HasSubstr("does not end"));
}

TEST_F(RegenerateTest, ADamagedRecordIsAnError) {
  write_file(folder_ / "demo.h5", "no record");
  EXPECT_THAT(error_of(kOpen + kClose), HasSubstr("demo.h5"));
}

TEST_F(RegenerateTest, TheCommandWritesAndChecks) {
  const fs::path file = document(kOpen + kClose);
  const std::string docs = (folder_ / "docs").string();
  const std::vector<std::string> check = {"regenerate", "--check", docs, "--published",
                                          testing::published_file().string()};
  EXPECT_EQ(command(check), 1);
  EXPECT_THAT(err_.str(), HasSubstr(file.string()));
  EXPECT_EQ(read_file(file), kOpen + kClose);
  EXPECT_EQ(command({"regenerate", docs, "--published", testing::published_file().string()}), 0);
  EXPECT_THAT(read_file(file), HasSubstr("| For |"));
  EXPECT_EQ(command(check), 0);
  record(3);  // another record, other tables
  EXPECT_EQ(command(check), 1);
}

TEST_F(RegenerateTest, PicturesGoBesideTheDocumentWithTheirRowsNamed) {
  compared();
  const std::string mark = "<!-- analyze ../demo.h5 pictures: differences -->\n";
  const Regenerated result = made(mark + kClose);
  ASSERT_EQ(result.figures.size(), 1u) << result.text;
  const auto& [file, png] = *result.figures.begin();
  EXPECT_EQ(file.parent_path(), folder_ / "docs" / "figures");
  EXPECT_TRUE(png.starts_with("\x89PNG"));
  EXPECT_THAT(result.text, AllOf(HasSubstr("](figures/" + file.filename().string() + ")"),
                                 HasSubstr("Rows, from above: For; fast; fast - For.")));
  EXPECT_FALSE(figure_is_current(file, png)) << "it is not there yet";
  EXPECT_THAT(error_of("<!-- analyze ../demo.h5 pictures: nothing -->\n" + kClose),
              HasSubstr("no picture of"));
}

TEST_F(RegenerateTest, MarksWithoutWordsTakeAllOfTheirKind) {
  two_settings();
  EXPECT_THAT(error_of("<!-- analyze ../demo.h5 pictures -->\n" + kClose),
              AllOf(HasSubstr("results.md:1"), HasSubstr("../demo.h5 gives no picture")));
  if (!find_gnuplot().empty()) {
    const std::string all = made("<!-- analyze ../demo.h5 plots -->\n" + kClose).text;
    const std::string some = made("<!-- analyze ../demo.h5 plots: cfg -->\n" + kClose).text;
    EXPECT_THAT(all, HasSubstr("](figures/heat_map_demo.svg)"));
    EXPECT_GE(all.size(), some.size());
  }
  compared();
  const Regenerated pictures = made("<!-- analyze ../demo.h5 pictures -->\n" + kClose);
  EXPECT_EQ(pictures.figures.size(), 1u) << pictures.text;
  EXPECT_THAT(pictures.records, ElementsAre(folder_ / "docs/../demo.h5"));
  EXPECT_THAT(pictures.absent, IsEmpty());
}

TEST_F(RegenerateTest, TwoRecordsDoNotDrawOneFigure) {
  compared();
  fs::copy_file(folder_ / "demo.h5", folder_ / "same.h5");
  const std::string marks = "<!-- analyze ../demo.h5 pictures: differences -->\n" + kClose +
                            "<!-- analyze ../same.h5 pictures: differences -->\n" + kClose;
  EXPECT_EQ(made(marks).figures.size(), 1u) << "the same picture";
  compared(200);
  EXPECT_THAT(error_of(marks), AllOf(HasSubstr("results.md"), HasSubstr("two records draw")));
}

TEST_F(RegenerateTest, FiguresGoBesideTheDocumentAndAreChecked) {
  if (find_gnuplot().empty()) GTEST_SKIP() << "gnuplot is not installed";
  two_settings();
  const std::string mark = "<!-- analyze ../demo.h5 plots: cfg -->\n";
  const Regenerated result = made(mark + kClose);
  ASSERT_EQ(result.figures.size(), 4u);  // script, data, SVG, and the style of all
  EXPECT_THAT(result.text, HasSubstr("](figures/heat_map_demo.svg)"));
  EXPECT_THAT(error_of("<!-- analyze ../demo.h5 plots: nothing -->\n" + kClose),
              HasSubstr("no plot of"));
  const fs::path svg = folder_ / "docs" / "figures" / "heat_map_demo.svg";
  const std::string& drawn = result.figures.at(svg);
  EXPECT_FALSE(figure_is_current(svg, drawn));  // absent
  write_file(svg, drawn);
  EXPECT_TRUE(figure_is_current(svg, drawn));
  std::string other = drawn;
  other.replace(other.find("</svg>"), 6, "<g/></svg>");
  write_file(svg, other);
  EXPECT_FALSE(figure_is_current(svg, drawn));
  other.replace(other.find("GNUPLOT"), 7, "GNUPLOT 9");  // another version draws otherwise
  write_file(svg, other);
  EXPECT_TRUE(figure_is_current(svg, drawn));
}

// The documents that are shipped. A record that is not in this checkout skips by name.
TEST(Documents, HoldTheTablesOfTheirRecords) {
  const fs::path docs = fs::path(TARFLOW_SOURCE_DIR) / "docs";
  std::vector<std::string> absent;
  size_t records = 0;
  for (const auto& entry : fs::directory_iterator(docs)) {
    if (entry.path().extension() != ".md") continue;
    const Regenerated made = regenerate(entry.path(), testing::published_file());
    EXPECT_EQ(made.text, read_file(entry.path()))
        << "run: analyze regenerate " << entry.path().string();
    for (const auto& [figure, content] : made.figures)
      EXPECT_TRUE(figure_is_current(figure, content))
          << figure.string() << "; run: analyze regenerate " << entry.path().string();
    records += made.records.size();
    absent.insert(absent.end(), made.absent.begin(), made.absent.end());
  }
  if (!absent.empty()) GTEST_SKIP() << absent.front() << " is missing";
  EXPECT_GT(records, 0u);
}

}  // namespace
}  // namespace tarflow::analysis
