#include "analysis/plots.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "analysis/choice_plots.h"
#include "analysis/curve_plots.h"
#include "analysis/gnuplot.h"
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
  EXPECT_THAT(plots[0].caption, AllOf(HasSubstr("cfg 0, self_denoising_lr 0, at 1.0000 ± 0.0100"),
                                      HasSubstr("cfg 1, lr 0 (1.0200"), Not(HasSubstr("cfg 2"))));
  EXPECT_THAT(plots[0].settings, HasSubstr("from -0.47,-0.46 to 0.47,0.46"));
}

TEST(HeatMaps, OneCellIsNoMap) {
  EXPECT_THAT(heat_maps({family({measured("For", 10, 1.0)})}), IsEmpty());
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
  const std::vector<Source> sources = {convergence(12, 4)}, times = {benchmark()};
  for (Plot& plot : convergence_plots(points_of(sources))) plots.push_back(std::move(plot));
  for (Plot& plot : kernel_plots(points_of(times))) plots.push_back(std::move(plot));
  make_names_distinct(plots);
  EXPECT_THAT(plots, SizeIs(6));
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

}  // namespace
}  // namespace tarflow::analysis
