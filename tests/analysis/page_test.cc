#include "analysis/page/page.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>

#include "analysis/data/sources.h"
#include "analysis/report.h"
#include "analysis/show/html.h"
#include "framework/core/file.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string kEvil = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>";

class PageTest : public ::testing::Test {
 protected:
  PageTest() {
    std::string name = (fs::temp_directory_path() / "tarflow-page-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~PageTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  // results/demo.h5 of For and another strategy at two cfg, named as given.
  fs::path demo(const std::string& model = "demo", const std::string& strategy = "[1-8-4-4]") {
    record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {});
    job.environment = {{"git_revision", "abc123"}, {"cpu", "a CPU"}, {"at_end", {{"time", "now"}}}};
    for (const double cfg : {0.0, 1.0}) {
      add(job, "For", "blocks 1-0: sequential", model, cfg, 10);
      add(job, strategy, "block 1: gs 8 x 4 guess z; block 0: jacobi 4 guess z", model, cfg, 4);
    }
    job.columns = testing::columns_of(job.rows);
    const fs::path part = folder_ / "j1.h5", file = folder_ / "demo.h5";
    record::write_job(part, job);
    EXPECT_THAT(record::merge(file, "demo", std::vector<fs::path>{part}).problems, IsEmpty());
    return file;
  }

  // A job's folder that holds no result.
  fs::path unfinished(const std::string& hash, const std::string& attempts) {
    const fs::path place = folder_ / "demo" / "jobs" / hash;
    write_json_file(place / "job.json",
                    testing::make_job(hash, "evaluate", "small.pth", {"q1"}).job);
    write_file(place / "attempts.jsonl", attempts);
    return place;
  }

  Report report(const fs::path& file) {
    return make_report({file}, file.parent_path() / "demo" / "report",
                       {"2", testing::published_file(), true});
  }

  std::string page(const fs::path& file) {
    report(file);
    return read_file(file.parent_path() / "demo" / "report" / "report.html");
  }

  fs::path folder_;

 private:
  static void add(record::JobRecord& job, const std::string& strategy, const std::string& blocks,
                  const std::string& model, double cfg, double seconds) {
    const std::string id = "p" + std::to_string(job.rows.size());
    record::Row row = testing::evaluate_row(id, "j1", strategy, blocks, seconds);
    row["model"] = model;
    row["cfg"] = cfg;
    row["distance"] = 1.25 + cfg + seconds / 100;
    job.rows.push_back(row);
    job.job["points"].push_back({{"id", id}, {"settings", {{"cfg", cfg}}}});
  }
};

std::string without_data(std::string page) {
  for (size_t begin; (begin = page.find("data:image/")) != std::string::npos;)
    page.replace(begin, page.find('"', begin) - begin, "DATA");
  return page;
}

TEST_F(PageTest, NeedsNothingBesideIt) {
  const std::string text = without_data(page(demo()));
  EXPECT_THAT(text, Not(AnyOf(HasSubstr("http:"), HasSubstr("https:"), HasSubstr("src=\"//"),
                              HasSubstr("url("), HasSubstr("@import"), HasSubstr("<link"))));
  EXPECT_THAT(text, AllOf(HasSubstr("default-src 'none'"), HasSubstr("<html lang=en>"),
                          HasSubstr("<main id=main"), HasSubstr("scope=col"),
                          HasSubstr("scope=row"), HasSubstr("<caption>")));
}

TEST_F(PageTest, WhatUsersNamedIsTextOnly) {
  const fs::path file = demo(kEvil, "</style>" + kEvil);
  const fs::path job = unfinished(
      "f1",
      "{\"start\":\"then\"}\n{\"end\":\"now\",\"outcome\":\"failed\",\"reason\":\"<b>no</b>\"}\n");
  write_file(job / "log.txt", "first\n</pre>" + kEvil + "\n");
  const std::string text = page(file);
  EXPECT_THAT(text, Not(AnyOf(HasSubstr("<script>alert"), HasSubstr("<img src=x"),
                              HasSubstr("</pre>\""), HasSubstr("<b>no</b>"))));
  EXPECT_THAT(text, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  // One style and one script, both the page's own.
  EXPECT_EQ(text.find("<script"), text.rfind("<script"));
  EXPECT_EQ(text.find("</style"), text.rfind("</style"));
}

TEST(Html, EscapesTextsAndAttributes) {
  EXPECT_EQ(escape_html("a<b>&\"'\x01"), "a&lt;b&gt;&amp;&quot;&#39;");
}

TEST(Html, Base64IsThatOfRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
  const std::string large = base64(std::string((size_t{3} << 20) + 1, 'A'));
  EXPECT_EQ(large.size(), (size_t{4} << 20) + 4);
  EXPECT_EQ(large.substr(large.size() - 8), "QUFBQQ==");
}

TEST_F(PageTest, FailedPointsShowTheirLastLogLines) {
  const fs::path file = demo();
  const fs::path job = unfinished("f1",
                                  "{\"attempt\":1,\"start\":\"yesterday\"}\n"
                                  "{\"attempt\":1,\"end\":\"today\",\"outcome\":\"failed\","
                                  "\"reason\":\"out of memory\"}\n");
  std::ofstream log(job / "log.txt");
  for (int i = 0; i < 40; ++i) log << "line " << i << ".\n";
  log.close();
  const std::string text = page(file);
  EXPECT_THAT(text, AllOf(HasSubstr("out of memory"), HasSubstr("line 39."), HasSubstr("line 25."),
                          Not(HasSubstr("line 24."))));
}

TEST_F(PageTest, NumbersLeadToTheirJobSettingsAndSource) {
  const std::string text = page(demo());
  std::smatch link;
  ASSERT_TRUE(std::regex_search(text, link, std::regex("<a href=#(p[0-9]+)>\\[1-8-4-4\\]</a>")));
  const size_t place = text.find("<tr id=" + link[1].str() + ">");
  ASSERT_NE(place, std::string::npos);
  const std::string entry = text.substr(place, text.find('\n', place) - place);
  EXPECT_THAT(entry, AllOf(HasSubstr("<td>j1<td>"), HasSubstr("#e1"),
                           AnyOf(HasSubstr("<td>0.0"), HasSubstr("<td>1.0"))));
  EXPECT_THAT(text, HasSubstr("environment<th scope=col>cfg</thead>"));
  const size_t environment = text.find("<details id=e1");
  ASSERT_NE(environment, std::string::npos);
  EXPECT_THAT(text.substr(environment), HasSubstr("abc123"));
}

// So that a page of very many points can be opened, each link leading somewhere.
TEST_F(PageTest, SettingsOfEachPointAreLeftOutWhereThereIsNoRoomAndItSaysSo) {
  std::vector<std::string> problems;
  const std::vector<Source> sources = read_sources({demo()}, problems);
  const std::vector<Point> points = points_of(sources);
  Report made = report(folder_ / "demo.h5");
  const auto page_within = [&](size_t bytes) {
    return render_page(made, sources, points, {}, {}, folder_ / "demo" / "report", bytes);
  };
  EXPECT_THAT(page_within(100'000), AllOf(HasSubstr("<tr id=p1>"), HasSubstr("href=#p1>")));
  EXPECT_THAT(page_within(100), AllOf(Not(HasSubstr("id=p1")), Not(HasSubstr("href=#p1")),
                                      HasSubstr("analyze export"), HasSubstr("<details id=e1")));
}

TEST_F(PageTest, ASweepThatRunsIsShownAndReloaded) {
  const fs::path file = demo();
  const auto progress = [&](bool over) {
    write_json_file(folder_ / "demo" / "progress.json",
                    {{"points", 5}, {"done", 2}, {"running", 1}, {"failed", 0}, {"over", over}});
  };
  progress(false);
  EXPECT_THAT(page(file),
              AllOf(HasSubstr("http-equiv=refresh"), HasSubstr("<progress max=5 value=2"),
                    HasSubstr("2 of 5 points done")));
  progress(true);
  EXPECT_THAT(page(file), Not(AnyOf(HasSubstr("http-equiv=refresh"), HasSubstr("<progress max"))));
}

TEST_F(PageTest, JobsWhosePointsLeftTheSweepAreNotShown) {
  const fs::path file = demo();
  unfinished("f1", "{\"start\":\"then\"}\n{\"end\":\"now\",\"outcome\":\"failed\"}\n");
  EXPECT_THAT(page(file), HasSubstr("<code>f1</code>"));
  write_json_file(folder_ / "demo/sweep.json", {{"ids", {"p0", "p1"}}});
  EXPECT_THAT(page(file), Not(HasSubstr("f1")));
}

TEST_F(PageTest, SaysInPlainWordsWhichStrategyIsFastest) {
  EXPECT_THAT(
      page(demo()),
      HasSubstr("The fastest other strategy within 1 % of that distance is [1-8-4-4]: 4 s, 2.50 "
                "times as fast"));
}

// A narrow screen shows few columns.
TEST_F(PageTest, TheRateIsTheSecondColumn) {
  const std::string text = page(demo());
  EXPECT_THAT(text,
              HasSubstr("<th scope=col class=l>strategy<th scope=col>rate<th scope=col>total s"));
  EXPECT_THAT(text, HasSubstr("[1-8-4-4]</a><td>2.50<td>4.00"));
}

TEST_F(PageTest, InShortSaysHowToMeasureAgain) {
  record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {"p1"});
  job.rows = {testing::evaluate_row("p1", "j1", "For", "blocks 1-0: sequential", 4)};
  job.rows[0]["exclusive"] = int64_t{0};
  job.columns = testing::columns_of(job.rows);
  record::write_job(folder_ / "j1.h5", job);
  record::merge(folder_ / "demo.h5", "demo", std::vector<fs::path>{folder_ / "j1.h5"});
  const std::string text = page(folder_ / "demo.h5");
  const size_t place = text.find("To measure again on a quiet machine: run_sweep");
  EXPECT_LT(place, text.find("<summary>Words of the plots"));
}

// Samples, the answer, plots, tables; where the numbers come from is last.
TEST_F(PageTest, WhatIsLookedAtStandsFirst) {
  record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {});
  for (const std::string id : {"p1", "p2"}) {
    job.rows.push_back(testing::evaluate_row(id, "j1", id == "p1" ? "For" : "A",
                                             id == "p1" ? "blocks 1-0: sequential"
                                                        : "blocks 1-0: "
                                                          "jacobi 4",
                                             4));
    job.job["points"].push_back({{"id", id}});
  }
  job.arrays = {testing::images_array(2, 2, std::vector<float>(24, 1.0f))};
  job.columns = testing::columns_of(job.rows);
  record::write_job(folder_ / "j1.h5", job);
  record::merge(folder_ / "demo.h5", "demo", std::vector<fs::path>{folder_ / "j1.h5"});
  const std::string text = page(folder_ / "demo.h5");
  std::vector<size_t> places;
  for (const char* id : {"pictures", "summary", "plots", "tables", "origins", "points"})
    places.push_back(text.find(std::string(" id=") + id + "><h2"));
  EXPECT_THAT(places, Not(Contains(std::string::npos)));
  EXPECT_TRUE(std::is_sorted(places.begin(), places.end()));
}

TEST_F(PageTest, WideTablesSayThatThereIsMore) {
  const std::string text = page(demo());
  EXPECT_THAT(text, AllOf(HasSubstr("<div class=more><div class=\"scroll"),
                          HasSubstr(".more[data-more]::before{content:attr(data-more)"),
                          HasSubstr("scroll sideways")));
}

TEST_F(PageTest, WithoutGnuplotThePlotsAreNamedAndTheirDataKept) {
  const fs::path file = demo();
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", folder_.c_str(), 1);
  const Report made = report(file);
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(made.problems, IsEmpty());
  EXPECT_THAT(made.coverage, Contains(AllOf(HasSubstr("gnuplot is not installed"),
                                            HasSubstr("apt install gnuplot-nox"))));
  ASSERT_THAT(made.plots, Not(IsEmpty()));
  for (const Plot& plot : made.plots)
    EXPECT_TRUE(fs::exists(folder_ / "demo" / "report" / "plots" / (plot.name + ".dat")));
}

}  // namespace
}  // namespace tarflow::analysis
