#include "analysis/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "analysis/data/sources.h"
#include "analysis/page/sample_grid.h"
#include "analysis/show/markdown.h"
#include "analysis/show/text.h"
#include "framework/core/file.h"
#include "framework/images/decode.h"
#include "tests/analysis/call.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::call;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Outcome;
using ::testing::StartsWith;

// A folder of results of its own for each test.
class ReportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("tarflow_report_" + std::to_string(::getpid()) + "_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Report report(const std::vector<fs::path>& files) {
    return make_report(files, folder_ / "report", {"2", testing::published_file()});
  }

  // Writes the job as the worker does; its path.
  fs::path write_job(record::JobRecord job, const std::vector<record::Row>& rows) {
    job.rows = rows;
    job.columns = testing::columns_of(rows);
    const fs::path place = folder_ / "demo" / "jobs" / job.hash;
    write_json_file(place / "job.json", job.job);
    record::write_job(place / "result.h5", job);
    return place / "result.h5";
  }

  // results/demo.h5 with one igm_crm and two evaluate jobs.
  fs::path demo() {
    record::JobRecord crm = testing::make_job("c1", "igm_crm", "small.pth", {"p0"});
    crm.arrays = testing::metric_arrays("2", {1, 2, 3}, {2, 1, 4}, {1, 1, 6});
    record::JobRecord sequential = testing::make_job("j1", "evaluate", "small.pth", {"p1"});
    sequential.arrays = {testing::images_array(2, 2, std::vector<float>(24, 1.0f))};
    record::JobRecord gs = testing::make_job("j2", "evaluate", "small.pth", {"p2"});
    gs.arrays = {testing::images_array(2, 2, std::vector<float>(24, 0.9f))};
    const std::string gs_blocks = "block 2: gs 8 x 4 guess z; blocks 1-0: jacobi 4 guess z";
    const std::vector<fs::path> jobs = {
        write_job(crm, {testing::igm_crm_row("p0", "c1", "demo")}),
        write_job(sequential,
                  {testing::evaluate_row("p1", "j1", "For", "blocks 2-0: sequential", 10)}),
        write_job(gs, {testing::evaluate_row("p2", "j2", "[2-8-4-4]", gs_blocks, 4)})};
    const fs::path file = folder_ / "demo.h5";
    EXPECT_THAT(record::merge(file, "demo", jobs).problems, IsEmpty());
    return file;
  }

  fs::path folder_;
};

std::string golden(const std::string& name) {
  return read_file(fs::path(TARFLOW_SOURCE_DIR) / "tests/analysis/golden" / name);
}

TEST_F(ReportTest, IsTheGoldenReport) {
  const Report result = report({demo()});
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(read_file(folder_ / "report" / "report.md"), golden("report.md"));
  EXPECT_EQ(render_text(result, {}), golden("report.txt"));
}

TEST_F(ReportTest, GoesBesideTheFile) {
  EXPECT_EQ(default_report_folder("results/demo.h5"), "results/demo/report");
  EXPECT_EQ(default_report_folder("demo.v2.h5"), "demo.v2/report");
}

TEST_F(ReportTest, GridHoldsEveryStrategysImages) {
  report({demo()});
  const images::Image grid = images::read_image(folder_ / "report" / "grid.png");
  // 0.9 is 242 and 1.0 is 255 of 255: both rows are there, in two columns of 2 x 48 pixels.
  EXPECT_GE(grid.width, 192);
  EXPECT_GE(grid.height, 192);
  int light = 0;
  for (const uint8_t value : grid.rgb) light += value == 242;
  EXPECT_EQ(light, 2 * 96 * 96 * 3);
}

TEST_F(ReportTest, UnusableFilesAreNamedAndCostNothing) {
  const fs::path good = demo(), empty = folder_ / "empty.h5", foreign = folder_ / "foreign.h5",
                 damaged = folder_ / "damaged.h5", none = folder_ / "none.h5";
  std::ofstream(empty).close();
  std::ofstream(foreign) << "name: demo\n";
  std::string bytes = read_file(good);
  write_file(damaged, bytes.substr(0, bytes.size() / 2));
  const Report result = report({empty, foreign, good, damaged, none});
  ASSERT_EQ(result.problems.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    const char* names[] = {"empty.h5", "foreign.h5", "damaged.h5", "none.h5"};
    EXPECT_THAT(result.problems[i], HasSubstr(names[i]));
  }
  EXPECT_EQ(result.tables.size(),
            7u);  // CRM, guesses, speed-up, as in the paper, its block, distances, strategies
  EXPECT_THAT(read_file(folder_ / "report" / "report.md"), HasSubstr("## Problems"));
}

TEST_F(ReportTest, NothingReadableWritesNothing) {
  const Report result = report({folder_ / "none.h5"});
  EXPECT_EQ(result.problems.size(), 1u);
  EXPECT_FALSE(fs::exists(folder_ / "report"));
}

TEST_F(ReportTest, AFileWithoutPointsIsAProblem) {
  const fs::path file = folder_ / "demo.h5";
  record::merge(file, "demo", std::vector<fs::path>{});
  EXPECT_THAT(report({file}).problems, ElementsAre(HasSubstr("holds no points")));
}

TEST_F(ReportTest, PointsWithoutResultsAreNamed) {
  const fs::path file = demo();
  Json job = testing::make_job("j3", "evaluate", "small.pth", {"p3", "p4"}).job;
  job["settings"]["strategy"] = {{"name", "[2-4-4-4]"}};
  write_json_file(folder_ / "demo/jobs/j3/job.json", job);
  write_file(folder_ / "demo/jobs/j4/job.json", "{ half");
  const Report result = report({file});
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_THAT(result.coverage,
              Contains(HasSubstr("points p3, p4 of job j3 (evaluate of m, [2-4-4-4])")));
  EXPECT_THAT(result.coverage, Contains(HasSubstr("job j4: ")));
}

TEST_F(ReportTest, ResultsOfOtherSettingsAreNoFault) {
  const fs::path file = demo();
  for (const char* hash : {"k1", "k2"}) {
    write_job(
        testing::make_job(hash, "evaluate", "small.pth", {std::string("q") + hash}),
        {testing::evaluate_row(std::string("q") + hash, hash, "For", "block 0: sequential", 1)});
  }
  Report result = report({file});
  EXPECT_THAT(result.coverage, Contains(HasSubstr("not in demo.h5: 2 finished jobs of other "
                                                  "settings")));
  EXPECT_THAT(result.answer.not_valid, ::testing::Each(::testing::Not(HasSubstr("not in demo"))));
  write_file(folder_ / "demo/jobs/k2/result.h5", "torn");
  result = report({file});
  EXPECT_THAT(result.coverage, Contains(HasSubstr("1 finished job of other settings")));
  EXPECT_THAT(result.answer.not_valid, Contains(HasSubstr("job k2 (evaluate of m); damaged")));
}

TEST_F(ReportTest, PointsOfMergedJobsWithoutRowAreNamed) {
  Source source =
      testing::make_source("s", {}, {testing::make_job("j1", "evaluate", "x.pth", {"p9"})});
  EXPECT_THAT(points_without_results(source), ElementsAre(HasSubstr("point p9 of job j1")));
  source.file = folder_ / "s.h5";
  write_json_file(folder_ / "s/sweep.json", {{"ids", {"p1"}}});
  EXPECT_THAT(points_without_results(source), IsEmpty()) << "it has left the sweep";
}

// A repaired sweep is not told of the mistake for ever.
TEST_F(ReportTest, PointsThatLeftTheSweepAreNotNamed) {
  const fs::path file = demo();
  write_json_file(folder_ / "demo/jobs/j3/job.json",
                  testing::make_job("j3", "evaluate", "small.pth", {"p3", "p4"}).job);
  write_json_file(folder_ / "demo/jobs/j4/job.json",
                  testing::make_job("j4", "evaluate", "small.pth", {"p5"}).job);
  const auto with_ids = [&](const Json& ids) {
    write_json_file(folder_ / "demo/sweep.json", {{"file", "/x/demo.yaml"}, {"ids", ids}});
    return report({file}).coverage;
  };
  EXPECT_THAT(with_ids({"p1", "p2", "p4"}),
              AllOf(Contains(HasSubstr("point p4 of job j3")), Not(Contains(HasSubstr("p3"))),
                    Not(Contains(HasSubstr("job j4")))));
  EXPECT_THAT(with_ids({"p1"}), Not(Contains(HasSubstr("job j3"))));
  EXPECT_THAT(with_ids("p1"), Contains(HasSubstr("points p3, p4 of job j3"))) << "not a list";
  fs::remove(folder_ / "demo/sweep.json");
  EXPECT_THAT(report({file}).coverage, Contains(HasSubstr("point p5 of job j4")));
}

// Of a job with other points beside, which failed before the sweep was repaired.
TEST_F(ReportTest, PointsWithARowAreNotNamedForAJobWithoutResult) {
  const fs::path file = demo();
  const std::string id = Point{&record::read_sweep(file).rows.front()}.id();
  write_json_file(folder_ / "demo/jobs/j3/job.json",
                  testing::make_job("j3", "evaluate", "small.pth", {id, "p9"}).job);
  EXPECT_THAT(report({file}).coverage, Contains(HasSubstr(": point p9 of job j3")));
}

TEST_F(ReportTest, OverlappingFilesShowPointsOnce) {
  const fs::path file = demo(), copy = folder_ / "copy.h5";
  fs::copy_file(file, copy);
  const Report result = report({file, copy});
  EXPECT_EQ(result.tables.size(), 7u);
  EXPECT_THAT(result.coverage, Contains("3 points in more than one file: shown once."));
}

TEST_F(ReportTest, ExperimentsWithoutTableAreCounted) {
  record::Row row = testing::evaluate_row("p1", "j1", "For", "block 0: sequential", 1);
  row["experiment"] = std::string("fid_stats");
  const fs::path job = write_job(testing::make_job("j1", "fid_stats", "x.pth", {"p1"}), {row});
  const fs::path file = folder_ / "demo.h5";
  record::merge(file, "demo", {job});
  EXPECT_THAT(report({file}).coverage,
              ElementsAre("fid_stats: 1 point with results; this experiment has no table."));
}

TEST_F(ReportTest, MissingPublishedFiguresCostOnlyThemselves) {
  const Report result = make_report({demo()}, folder_ / "report", {"2", folder_ / "no.yaml"});
  EXPECT_THAT(result.problems, ElementsAre(HasSubstr("no.yaml")));
  EXPECT_EQ(result.tables.size(), 7u);
}

TEST_F(ReportTest, CommandPrintsAndWrites) {
  const std::string file = demo().string();
  const Outcome text = call({file, "--published", testing::published_file().string()});
  EXPECT_EQ(text.status, 0);
  EXPECT_EQ(text.err, "");
  EXPECT_THAT(text.out, StartsWith(golden("report.txt")));
  EXPECT_TRUE(fs::exists(folder_ / "demo/report/grid.png"));
  const std::string other = (folder_ / "other").string();
  const Outcome markdown = call({file, "--format", "markdown", "--out", other, "--published",
                                 testing::published_file().string()});
  EXPECT_EQ(markdown.out, golden("report.md"));
  EXPECT_EQ(read_file(folder_ / "other/report.md"), golden("report.md"));
}

TEST_F(ReportTest, CommandPrintsCsvAndLatexOfTheTablesAskedFor) {
  const std::string file = demo().string();
  const Outcome csv = call({file, "--format", "csv", "--table", "Convergence ranking"});
  EXPECT_EQ(csv.out, "block,demo CRM %,bold\n0,12.5,\n1,12.5,\n2,75,demo CRM %\n");
  const Outcome latex = call({file, "--format", "latex", "--table", "Convergence | Initial"});
  EXPECT_THAT(latex.out,
              StartsWith("% \\usepackage{array,booktabs,graphicx,longtable}\n\n\\begin{table}"));
  EXPECT_THAT(latex.out, HasSubstr("Initial guesses of demo"));
  EXPECT_THAT(latex.out, ::testing::Not(HasSubstr("Strategies")));
  const Outcome text = call({file, "--table", "Initial"});
  EXPECT_THAT(text.out, StartsWith("Initial guesses of demo"));
}

TEST_F(ReportTest, WordsMayNameASectionOrATitle) {
  const std::string file = demo().string();
  const Outcome section = call({file, "--table", "speed-up", "--format", "markdown"});
  EXPECT_EQ(section.status, 0);
  EXPECT_THAT(section.out, HasSubstr("## Speed-up of demo: cfg 1"));
  EXPECT_THAT(section.out, HasSubstr("## Speed-up in the paper's layout"));
  EXPECT_THAT(section.out, ::testing::Not(HasSubstr("## Distances")));
  const Outcome none = call({file, "--table", "no such table"});
  EXPECT_EQ(none.status, 1);
  EXPECT_EQ(none.out, "");
  EXPECT_THAT(none.err, HasSubstr("no section or table has `no such table` in its title"));
  for (const char* title : {"Convergence ranking: CRM %, norm 2", "Initial guesses of demo, norm 2",
                            "Speed-up of demo: cfg 1", "Distances of demo", "Strategies"})
    EXPECT_THAT(none.err, HasSubstr(title));
}

TEST_F(ReportTest, CommandExportsAllPoints) {
  const fs::path file = demo(), bad = folder_ / "bad.h5", out = folder_ / "points.csv";
  const Outcome printed = call({"export", file.string()});
  EXPECT_EQ(printed.status, 0);
  EXPECT_THAT(printed.out, StartsWith("file,point,job,experiment,"));
  EXPECT_EQ(std::count(printed.out.begin(), printed.out.end(), '\n'), 4);
  write_file(bad, "no record");
  const Outcome written = call({"export", file.string(), bad.string(), "--out", out.string()});
  EXPECT_EQ(written.status, 1);
  EXPECT_THAT(written.err, HasSubstr("bad.h5"));
  EXPECT_EQ(read_file(out), printed.out);
}

TEST_F(ReportTest, APointMeasuredTwiceIsShownTwice) {
  const fs::path file = demo(), again = folder_ / "again.h5";
  record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {"p1"});
  record::merge(
      again, "demo",
      {write_job(job, {testing::evaluate_row("p1", "j1", "For", "blocks 2-0: sequential", 20)})});
  const std::string text = render_markdown(report({file, again}).tables.at(4));
  EXPECT_THAT(text, HasSubstr("| Forᵃ | 10.00 |"));
  EXPECT_THAT(text, HasSubstr("| Forᵇ | 20.00 |"));
  EXPECT_THAT(text, HasSubstr("ᵇ measured more than once: this is of "));
  const std::string distances = render_markdown(report({file, again}).tables.at(5));
  EXPECT_THAT(distances, HasSubstr("| For, measured again (2) |"));
}

TEST_F(ReportTest, CommandReportsTheNormAsked) {
  const Outcome outcome = call({demo().string(), "--norm", "fro"});
  EXPECT_THAT(outcome.out,
              HasSubstr("left out: point p0: array igm_crm/norm_fro/igm_z is not in the file"));
}

TEST_F(ReportTest, CommandGoesOnPastBadFilesButFails) {
  const fs::path bad = folder_ / "bad.h5";
  std::ofstream(bad) << "no HDF5";
  const Outcome outcome = call({demo().string(), bad.string()});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("bad.h5"));
  EXPECT_THAT(outcome.out, HasSubstr("[2-8-4-4]"));
}

TEST_F(ReportTest, CommandDigests) {
  const fs::path file = demo();
  const Outcome outcome = call({"digest", file.string()});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, record::digest(record::read_sweep(file)) + "\n");
  const Outcome missing = call({"digest", "none.h5"});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr("none.h5"));
}

TEST_F(ReportTest, CommandNamesNoFolderItDidNotWrite) {
  const Outcome outcome = call({(folder_ / "none.h5").string()});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "No results\n");
}

TEST(Command, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(call({}).status, 1);
  EXPECT_EQ(call({"x.h5", "--format", "html"}).status, 1);
  EXPECT_EQ(call({"x.h5", "--norm", "3"}).status, 1);
  EXPECT_EQ(call({"digest"}).status, 1);
  EXPECT_EQ(call({"--help"}).status, 0);
}

TEST(Command, SuggestsTheOptionOrSubcommandThatWasMeant) {
  EXPECT_THAT(call({"x.h5", "--shrt"}).err, HasSubstr("did you mean --short instead of --shrt?"));
  const Outcome compared = call({"compare", "a.h5", "b.h5", "--tolerence=1"});
  EXPECT_THAT(compared.err, HasSubstr("did you mean --tolerance instead of --tolerence?"));
  EXPECT_EQ(compared.status, 2);
  EXPECT_THAT(call({"x.h5", "--nothing-like-it"}).err, Not(HasSubstr("did you mean")));
  const Outcome slip = call({"digst", "x.h5"});
  EXPECT_EQ(slip.status, 1);
  EXPECT_THAT(slip.err, HasSubstr("did you mean digest? write analyze digest x.h5"));
  EXPECT_THAT(call({"none.h5"}).err, Not(HasSubstr("did you mean")));
}

TEST(SampleGrids, ShareARowWhereTheSamplingIsShared) {
  record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {"p1", "p2"});
  job.arrays = {testing::images_array(1, 2, std::vector<float>(12, 0.0f))};
  record::Row lr0 = testing::evaluate_row("p1", "j1", "For", "block 0: sequential", 1), lr1 = lr0;
  lr1["point"] = std::string("p2");
  lr1["self_denoising_lr"] = 1.0;
  record::JobRecord other = testing::make_job("j2", "evaluate", "small.pth", {"p3"});
  other.arrays = job.arrays;
  record::Row cfg0 = lr0;
  cfg0["point"] = std::string("p3");
  cfg0["job"] = std::string("j2");
  cfg0["cfg"] = 0.0;
  const std::vector<Source> sources = {testing::make_source("s", {lr0, lr1, cfg0}, {job, other})};
  std::vector<std::string> problems;
  const auto grids = sample_grids(points_of(sources), problems);
  ASSERT_EQ(grids.size(), 1u);
  EXPECT_EQ(grids[0].name, "grid");
  ASSERT_EQ(grids[0].rows.size(), 2u);
  EXPECT_EQ(grids[0].rows[0].label, "For, cfg 0");
  EXPECT_EQ(grids[0].rows[1].label, "For, cfg 1");
}

TEST(SampleGrids, AreOneAModelAndSeed) {
  record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {});
  std::vector<record::Row> rows;
  std::vector<record::JobRecord> jobs;
  for (const int64_t seed : {0, 1}) {
    const std::string n = std::to_string(seed);
    rows.push_back(testing::evaluate_row("p" + n, "j" + n, "For", "block 0: sequential", 1));
    rows.back()["seed"] = seed;
    jobs.push_back(testing::make_job("j" + n, "evaluate", "small.pth", {"p" + n}));
    jobs.back().arrays = {testing::images_array(1, 2, std::vector<float>(12, 0.0f))};
  }
  const std::vector<Source> sources = {testing::make_source("s", rows, jobs)};
  std::vector<std::string> problems;
  const auto grids = sample_grids(points_of(sources), problems);
  ASSERT_EQ(grids.size(), 2u);
  EXPECT_EQ(grids[0].name, "grid_demo_seed_0");
  EXPECT_EQ(grids[1].name, "grid_demo_seed_1");
}

}  // namespace
}  // namespace tarflow::analysis
