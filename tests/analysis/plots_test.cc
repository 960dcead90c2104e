#include "analysis/page/plots.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <deque>

#include "analysis/page/answer_plots.h"
#include "analysis/page/choice_plots.h"
#include "analysis/page/curve_plots.h"
#include "analysis/page/heat_maps.h"
#include "analysis/show/gnuplot.h"
#include "framework/core/file.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

Measured measured(const std::string& strategy, double seconds, double distance, double cfg = 1,
                  std::optional<double> error = {}) {
  Measured made;
  made.strategy = strategy;
  made.cfg = cfg;
  made.lr = 0;
  made.sequential = strategy == "For";
  made.distance = Estimate{distance, error};
  made.seconds = seconds;
  static std::deque<record::Row> rows;  // points lead to theirs
  rows.push_back(testing::evaluate_row("p", "j", strategy, "", seconds));
  made.points = {{&rows.back(), nullptr, nullptr}};
  return made;
}

MeasuredFamily family(std::vector<Measured> all) {
  return {"demo", "FD(small)", "cpu", false, std::move(all)};
}

TEST(ParetoFront, HoldsWhatNoOtherBeatsInBoth) {
  std::vector<Measured> all = {measured("For", 10, 1.0), measured("A", 4, 1.1),
                               measured("B", 5, 1.2), measured("C", 4, 1.3), measured("D", 2, 2.0)};
  all.push_back(measured("E", 1, 0.5));
  all.back().seconds.reset();  // shared its device
  std::string names;
  for (const Measured* one : pareto_front(all)) names += one->strategy;
  EXPECT_EQ(names, "DAFor");
}

TEST(HeatMaps, FrameTheBestAndNameWhatIsNotToldFromIt) {
  const auto plots =
      heat_maps({family({measured("For", 10, 1.00, 0, 0.01), measured("For", 10, 1.02, 1, 0.01),
                         measured("For", 10, 1.50, 2, 0.01)})});
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].caption,
              AllOf(HasSubstr("cfg 0, self_denoising_lr 0: 1.0000 ± 0.0100"),
                    HasSubstr("cfg 1, self_denoising_lr 0 (1.0200"), Not(HasSubstr("cfg 2,"))));
  EXPECT_THAT(plots[0].command, HasSubstr("from -0.47,-0.46 to 0.47,0.46"));
}

TEST(HeatMaps, OneCellIsNoMap) {
  EXPECT_THAT(heat_maps({family({measured("For", 10, 1.0)})}), IsEmpty());
}

TEST(HeatMaps, StrategiesAreThePanelsOfOneFigure) {
  std::vector<Measured> all;
  for (const std::string name : {"For", "A", "B"}) {
    for (const double cfg : {0.0, 1.0}) all.push_back(measured(name, 10, 1 + cfg, cfg));
  }
  const auto plots = heat_maps({family(all)});
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].command, AllOf(HasSubstr("set multiplot layout 2,2"), HasSubstr("'A'"),
                                      HasSubstr("data index 2"), Not(HasSubstr("data index 3"))));
}

// gnuplot leaves out a title that does not fit beside the values, also of the colour bar.
TEST(HeatMaps, LongValuesLeaveRoomForTheTitleOfTheirAxis) {
  const fs::path gnuplot = find_gnuplot();
  if (gnuplot.empty()) GTEST_SKIP() << "gnuplot is not installed";
  for (const double lr : {0.02, 0.0002, 0.062561}) {
    std::vector<Measured> all;
    for (const double cfg : {0.0, 1.0}) {
      all.push_back(measured("For", 10, 10.1584 + cfg / 5, cfg));
      all.push_back(all.back());
      all.back().lr = lr;
    }
    const std::vector<Plot> plots = heat_maps({family(all)});
    ASSERT_THAT(plots, SizeIs(1));
    std::string name = (fs::temp_directory_path() / "tarflow-plots-XXXXXX").string();
    const fs::path folder = ::mkdtemp(name.data());
    EXPECT_THAT(write_plots(plots, folder), IsEmpty());
    EXPECT_THAT(draw_plots(plots, folder, gnuplot), IsEmpty());
    EXPECT_THAT(read_file(folder / (plots[0].name + ".svg")), HasSubstr("self_denoising_lr</text>"))
        << lr;
    // The title of the colour bar is upright: its foot is at the right.
    const std::string svg = read_file(folder / (plots[0].name + ".svg"));
    const size_t title = svg.find("FD(small)</text>"), place = svg.rfind("translate(", title);
    ASSERT_LT(title, svg.size());
    EXPECT_LT(std::stod(svg.substr(place + std::string("translate(").size())), plots[0].width - 5);
    fs::remove_all(folder);
  }
}

// Points of [7-SEGMENTS-ITERATIONS-ELSE] and For, with columns of what the names say.
Source strategies(const std::vector<std::array<int64_t, 3>>& all) {
  std::vector<record::Row> rows = {
      testing::evaluate_row("p0", "j", "For", "blocks 1-0: sequential", 10)};
  for (const auto& [segments, iterations, others] : all) {
    const std::string name = fmt::format("[7-{}-{}-{}]", segments, iterations, others);
    rows.push_back(testing::evaluate_row(name, "j", name, "block 1: " + name, 5));
    rows.back()["stack"] = std::string("7");
    rows.back()["segments"] = segments;
    rows.back()["iterations"] = iterations;
    rows.back()["else"] = others;
    rows.back()["distance"] = 1.0 + static_cast<double>(iterations) / 100;
  }
  return testing::make_source("demo", rows, {});
}

TEST(StrategyMaps, SettingsThatDifferAreAxesAndPanels) {
  const std::vector<Source> sources = {
      strategies({{4, 8, 5}, {4, 16, 5}, {8, 8, 5}, {8, 16, 5}, {8, 32, 5}, {8, 8, 10}})};
  const auto plots = strategy_maps(measured_families(points_of(sources)));
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].title, HasSubstr("by the settings of GS-Jacobi"));
  // iterations has three values, segments and else two each.
  EXPECT_THAT(plots[0].settings, HasSubstr("set xtics ('8' 0, '16' 1, '32' 2)"));
  EXPECT_THAT(plots[0].settings, HasSubstr("set ytics ('4' 0, '8' 1)"));
  EXPECT_THAT(plots[0].command, AllOf(HasSubstr("'else 5'"), HasSubstr("'else 10'")));
  EXPECT_THAT(plots[0].data, HasSubstr("1.0800\\n2.00×"));
}

// Jacobi in all blocks has a number of iterations, but no segments.
TEST(StrategyMaps, StrategiesOfAnotherKindAreNotInIt) {
  std::vector<Source> sources = {strategies({{4, 8, 5}, {8, 8, 5}})};
  record::Row jacobi = testing::evaluate_row("J", "j", "Jacobi-16", "blocks 1-0: jacobi 16", 5);
  jacobi["else"] = int64_t{16};
  sources[0].sweep.rows.push_back(jacobi);
  const auto plots = strategy_maps(measured_families(points_of(sources)));
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].settings, HasSubstr("set xtics ('4' 0, '8' 1)"));
  EXPECT_THAT(plots[0].caption, HasSubstr("of 2 strategies"));
}

// Two strategies that differ in their guess alone have one place.
TEST(StrategyMaps, OfStrategiesInOnePlaceTheSmallestDistanceIsDrawn) {
  std::vector<Source> sources = {strategies({{4, 8, 5}, {8, 8, 5}})};
  record::Row other = sources[0].sweep.rows.back();
  other["point"] = std::string("zero");
  other["strategy"] = std::string("guess zero");
  other["strategy_blocks"] = std::string("block 1: guess zero");
  other["distance"] = 1.02;
  sources[0].sweep.rows.push_back(other);
  const auto plots = strategy_maps(measured_families(points_of(sources)));
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].data, AllOf(HasSubstr("1.0200"), HasSubstr("1.0800")));
  EXPECT_EQ(plots[0].data.find("1.0800"), plots[0].data.rfind("1.0800")) << "[7-8-8-5] is behind";
  EXPECT_THAT(plots[0].caption, HasSubstr("Not drawn: 1 strategy"));
}

TEST(StrategyMaps, OneStrategyIsNoMapAndOneAxisIsARow) {
  std::vector<Source> sources = {strategies({{4, 8, 5}})};
  EXPECT_THAT(strategy_maps(measured_families(points_of(sources))), IsEmpty());
  sources = {strategies({{4, 8, 5}, {4, 16, 5}})};
  ASSERT_THAT(strategy_maps(measured_families(points_of(sources))), SizeIs(1));
}

Source ranked() {
  record::JobRecord job = testing::make_job("c1", "igm_crm", "small.pth", {"p1"});
  job.arrays = testing::metric_arrays("2", {1, 2, 3, 4}, {2, 1, 4, 3}, {1, 1, 6, 12});
  return testing::make_source("demo", {testing::igm_crm_row("p1", "c1", "demo")}, {job});
}

TEST(AnswerPlots, ToughBlocksAreBarsOfTheirOwn) {
  const std::vector<Source> sources = {ranked()};
  const auto plots = crm_plots(block_rankings(points_of(sources)));
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].data, AllOf(HasSubstr("0 5 NaN\n"), HasSubstr("3 NaN 60\n")));
  EXPECT_THAT(plots[0].caption, HasSubstr("Tough: block 3 (60.0 %)."));
}

TEST(AnswerPlots, RatesOfTimesThatAreNotValidAreHatched) {
  std::vector<record::Row> rows = {
      testing::evaluate_row("p1", "j1", "For", "blocks 1-0: sequential", 10),
      testing::evaluate_row("p2", "j1", "A", "blocks 1-0: jacobi 4 guess z", 4)};
  const auto plots_of = [](const std::vector<record::Row>& made) {
    const std::vector<Source> sources = {testing::make_source("demo", made, {})};
    return rate_plots(measured_families(points_of(sources)));
  };
  auto plots = plots_of(rows);
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].data, HasSubstr("0 2.5 NaN 2.5 \"2.50\"\n"));
  rows[1]["exclusive"] = int64_t{0};
  plots = plots_of(rows);
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].data, HasSubstr("0 NaN 2.5 2.5 \"2.50\"\n"));
  EXPECT_THAT(plots[0].caption, HasSubstr("indicative"));
  rows[1].erase("total_seconds");
  EXPECT_THAT(plots_of(rows), IsEmpty());
}

TEST(AnswerPlots, DeviationsStandAgainstPasses) {
  record::JobRecord exact = testing::make_job("j1", "evaluate", "small.pth", {"p1"}),
                    other = testing::make_job("j2", "evaluate", "small.pth", {"p2"});
  exact.arrays = {testing::images_array(2, 2, std::vector<float>(24, 1.0f))};
  other.arrays = {testing::images_array(2, 2, std::vector<float>(24, 0.5f))};
  const std::vector<Source> sources = {testing::make_source(
      "demo",
      {testing::evaluate_row("p1", "j1", "For", "blocks 1-0: sequential", 10),
       testing::evaluate_row("p2", "j2", "A", "blocks 1-0: jacobi 4 guess z", 4)},
      {exact, other})};
  const auto plots = deviation_plots(measured_families(points_of(sources)));
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].data, HasSubstr("12.5 0.5 0.5 \"A\"\n"));
  EXPECT_THAT(plots[0].settings, Not(HasSubstr("xtics"))) << "one value has no range";
}

// gnuplot's own step for 30.42 to 30.80 is 0.05.
TEST(AnswerPlots, LongNumbersOfPassesAreFew) {
  std::vector<record::Row> rows;
  std::vector<record::JobRecord> jobs;
  for (const auto& [id, strategy, passes] :
       std::vector<std::tuple<std::string, std::string, double>>{
           {"p1", "For", 8}, {"p2", "A", 30.42}, {"p3", "B", 30.80}}) {
    jobs.push_back(testing::make_job("j" + id, "evaluate", "small.pth", {id}));
    jobs.back().arrays = {
        testing::images_array(2, 2, std::vector<float>(24, strategy == "For" ? 1.0f : 0.5f))};
    rows.push_back(testing::evaluate_row(
        id, "j" + id, strategy, strategy == "For" ? "blocks 1-0: sequential" : strategy, 10));
    rows.back()["block_passes"] = passes;
  }
  const std::vector<Source> sources = {testing::make_source("demo", rows, jobs)};
  const auto plots = deviation_plots(measured_families(points_of(sources)));
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].settings, HasSubstr("set xtics 0.1\n"));
}

TEST(Plots, TextsOfUsersStayTexts) {
  EXPECT_EQ(gnuplot_text("it's `x`\n"), "'it''s `x` '");
  EXPECT_EQ(data_text("a\"b\\n"), "\"a'b n\"");
  EXPECT_EQ(data_log_number(0), "NaN");
}

TEST(Plots, EqualNamesAreNumbered) {
  std::vector<Plot> plots(3);
  for (Plot& plot : plots) plot.name = "a";
  make_names_distinct(plots);
  EXPECT_EQ(plots[0].name + plots[1].name + plots[2].name, "aa_2a_3");
}

// A point of experiment convergence with `blocks` curves, block 0 also in `segments` segments.
Source convergence(int64_t blocks, int64_t segments) {
  record::JobRecord job = testing::make_job("c1", "convergence", "small.pth", {"p1"});
  const auto curves = [&](const std::string& name, std::vector<int64_t> shape) {
    size_t size = 1;
    for (const int64_t n : shape) size *= static_cast<size_t>(n);
    std::vector<double> values;
    for (size_t i = 0; i < size; ++i) values.push_back(std::pow(10.0, -static_cast<double>(i % 6)));
    job.arrays.push_back(
        record::make_array("convergence/p1/" + name, std::move(shape), values, "", ""));
  };
  curves("jacobi/relative_distance", {blocks, 6});
  curves("jacobi/residual", {blocks, 6});
  curves("segments/relative_distance", {1, segments, 6});
  curves("segments/residual", {1, segments, 6});
  job.arrays.push_back(record::make_array("convergence/segment_blocks", {1},
                                          std::vector<int64_t>{blocks - 1}, "", ""));
  return testing::make_source("demo",
                              {{{"point", std::string("p1")},
                                {"job", std::string("c1")},
                                {"experiment", std::string("convergence")},
                                {"model", std::string("demo")},
                                {"guess", std::string("z")},
                                {"cfg", 1.0}}},
                              {std::move(job)});
}

TEST(CurvePlots, ALineABlockAndASegment) {
  const std::vector<Source> sources = {convergence(8, 16)};
  const auto plots = convergence_plots(points_of(sources));
  ASSERT_THAT(plots, SizeIs(3));
  EXPECT_THAT(plots[0].settings, HasSubstr("set logscale y"));
  EXPECT_THAT(plots[0].command, AllOf(HasSubstr("title 'block 7'"), Not(HasSubstr("index 8"))));
  EXPECT_THAT(plots[1].command, HasSubstr("using 3:2"));
  EXPECT_THAT(plots[2].title, HasSubstr("block 7"));
  EXPECT_THAT(plots[2].command, AllOf(HasSubstr("index 15"), HasSubstr("palette frac 1.0000")));
}

Source benchmark() {
  record::Row row = testing::evaluate_row("p1", "j1", "For", "blocks 1-0: sequential", 1);
  row["experiment"] = std::string("benchmark");
  row["share_gemm"] = 0.5;
  row["share_attention"] = 0.25;
  row["share_other"] = 0.25;
  return testing::make_source("demo", {row}, {});
}

TEST(CurvePlots, SharesOfKernelsAddUp) {
  const std::vector<Source> sources = {benchmark()};
  const auto plots = kernel_plots(points_of(sources));
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].data, HasSubstr("0 0 50 50 75 75 75 75 75 75 75 75 75 75 100"));
}

// All kinds of plots, with names that would do harm if gnuplot read them as commands.
TEST(Gnuplot, DrawsAllKindsAndRunsNothing) {
  const fs::path gnuplot = find_gnuplot();
  if (gnuplot.empty()) GTEST_SKIP() << "gnuplot is not installed";
  std::string name = (fs::temp_directory_path() / "tarflow-plots-XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  const std::string evil = "`touch harm`'; system('touch harm') #\"";
  std::vector<Plot> plots =
      heat_maps({family({measured(evil, 1, 1.0, 0, 0.1), measured(evil, 1, 1.0, 1, 0.1)})});
  MeasuredFamily named = family({measured("For", 10, 1.0), measured(evil, 2, 1.5)});
  named.distance_name = named.title = evil;
  for (Plot& plot : pareto_plots({named})) plots.push_back(std::move(plot));
  for (Plot& plot : rate_plots({named})) plots.push_back(std::move(plot));
  const std::vector<Source> maps = {strategies({{4, 8, 5}, {8, 8, 5}, {4, 8, 10}})},
                            bars = {ranked()};
  for (Plot& plot : strategy_maps(measured_families(points_of(maps))))
    plots.push_back(std::move(plot));
  for (Plot& plot : crm_plots(block_rankings(points_of(bars)))) plots.push_back(std::move(plot));
  const std::vector<Source> sources = {convergence(12, 4)}, times = {benchmark()};
  for (Plot& plot : convergence_plots(points_of(sources))) plots.push_back(std::move(plot));
  for (Plot& plot : kernel_plots(points_of(times))) plots.push_back(std::move(plot));
  make_names_distinct(plots);
  EXPECT_THAT(plots, SizeIs(9));
  EXPECT_THAT(write_plots(plots, folder), IsEmpty());
  EXPECT_THAT(draw_plots(plots, folder, gnuplot), IsEmpty());
  for (const Plot& plot : plots) {
    EXPECT_THAT(read_file(folder / (plot.name + ".svg")), HasSubstr("</svg>"));
    EXPECT_THAT(for_both_schemes(read_file(folder / (plot.name + ".svg"))),
                HasSubstr("prefers-color-scheme:dark"));
  }
  EXPECT_FALSE(fs::exists(folder / "harm"));
  Plot broken = plots.front();
  broken.command = "plot nothing";
  write_plots({broken}, folder);
  const auto problems = draw_plots({broken}, folder, gnuplot);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_THAT(problems[0], HasSubstr("nothing"));
  fs::remove_all(folder);
}

TEST(Gnuplot, ThatHangsIsEndedAndNamed) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("tarflow_hang_{}", ::getpid());
  fs::create_directories(folder);
  write_file(folder / "gnuplot", "#!/bin/sh\nsleep 600\n");
  fs::permissions(folder / "gnuplot", fs::perms::owner_all);
  Plot plot;
  plot.name = "slow";
  const auto problems =
      draw_plots({plot}, folder, folder / "gnuplot", std::chrono::milliseconds(200));
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_THAT(problems[0], HasSubstr("slow.gp: gnuplot did not end within 0.2 s"));
  fs::remove_all(folder);
}

TEST(Gnuplot, ThatCannotBeRunIsNamedOnce) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("tarflow_none_{}", ::getpid());
  fs::create_directories(folder);
  const auto problems = draw_plots(std::vector<Plot>(3), folder, folder / "gnuplot");
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_THAT(problems[0], HasSubstr("gnuplot: No such file"));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace tarflow::analysis
