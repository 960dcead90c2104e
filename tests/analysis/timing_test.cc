#include "analysis/data/timing.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "framework/core/file.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::DoubleEq;
using ::testing::Optional;

constexpr const char* kCpu = "AMD EPYC, 2 threads";

record::Row disturbed(const std::string& id, double seconds, double share,
                      const std::string& device = kCpu) {
  record::Row row = testing::evaluate_row(id, "j1", "For", "blocks 1-0: sequential", seconds);
  row["device"] = device;
  row["exclusive"] = int64_t{0};
  row["foreign_cpu_share"] = share;
  return row;
}

// The points of the rows, which live as long.
struct Made {
  explicit Made(std::vector<record::Row> rows)
      : sources{testing::make_source("results/demo", std::move(rows), {})},
        points(points_of(sources)) {}
  std::vector<Source> sources;
  std::vector<Point> points;
};

TEST(Timing, TheShareThatOthersTookIsTold) {
  const Made made({disturbed("a", 10, 0.34), disturbed("b", 10, 0.61), disturbed("c", 10, 0.4)});
  EXPECT_EQ(timing_of(made.points[0]), Timing::kIndicative);
  EXPECT_EQ(disturbance(made.points), "others used 34 % to 61 % of the CPU");
  EXPECT_EQ(invalid_timing(made.points[0]),
            "indicative: others used 34 % of the CPU (a time is valid up to 10 %)");
}

TEST(Timing, OtherReasonsAreTold) {
  std::vector<record::Row> rows(4, testing::evaluate_row("a", "j1", "For", "x", 10));
  const auto said = [](const record::Row& row) { return disturbance(Made({row}).points); };
  EXPECT_EQ(said(rows[0]), "");
  rows[0]["interrupted"] = int64_t{1};
  EXPECT_EQ(said(rows[0]), "the job was interrupted and resumed");
  rows[1].erase("exclusive");
  EXPECT_EQ(said(rows[1]), "whether the device was shared is not recorded");
  EXPECT_EQ(said(disturbed("a", 1, 0.03)), "the device was shared") << "by the sweep's own jobs";
  // On a GPU the CPU's share tells nothing.
  EXPECT_EQ(said(disturbed("a", 1, 0.8, "NVIDIA H200")),
            "the GPU was shared with another process or job");
}

TEST(Timing, ATrialMeansNothing) {
  record::Row row = disturbed("a", 10, 0.5);
  row["smoke"] = int64_t{1};
  const Made made({row});
  EXPECT_EQ(timing_of(made.points[0]), Timing::kMeaningless);
  EXPECT_EQ(disturbance(made.points), "");
  EXPECT_EQ(invalid_timing(made.points[0]), "smoke run: the time means nothing");
}

TEST(Timing, ARateOfIndicativeTimesHasToBeAskedFor) {
  record::Row valid = testing::evaluate_row("b", "j1", "[1-8-4-4]", "x", 4);
  const Made made({disturbed("a", 10, 0.34), valid});
  const Point &reference = made.points[0], &point = made.points[1];
  EXPECT_FALSE(rate({point}, {reference}, Timing::kValid).has_value());
  EXPECT_THAT(rate({point}, {reference}, Timing::kIndicative), Optional(DoubleEq(2.5)));
  EXPECT_FALSE(rate({point}, {}, Timing::kIndicative).has_value());
}

TEST(Timing, TheCommandThatMeasuresAgainNamesTheSweepFile) {
  const Made unknown({disturbed("a", 10, 0.34)});
  EXPECT_EQ(measure_again_command(unknown.points),
            "run_sweep SWEEP.yaml --force --only experiment=evaluate");
  const fs::path folder = fs::path(::testing::TempDir()) / fmt::format("again_{}", ::getpid());
  write_file(folder / "demo/sweep.json", R"({"file": "/somewhere/my sweeps/demo.yaml"})");
  Made known({disturbed("a", 10, 0.34)});
  known.sources[0].file = folder / "demo.h5";
  EXPECT_EQ(measure_again_command(known.points),
            "run_sweep '/somewhere/my sweeps/demo.yaml' --force --only experiment=evaluate "
            "--results " +
                folder.string());
  write_file(folder / "demo/sweep.json",
             R"({"file": "/x/demo.yaml", "set": ["cfg=[0, 1]", "name=demo"]})");
  EXPECT_EQ(measure_again_command(known.points),
            "run_sweep /x/demo.yaml --set 'cfg=[0, 1]' --set name=demo --force --only "
            "experiment=evaluate --results " +
                folder.string());
  fs::remove_all(folder);
}

TEST(Timing, PointsOfSeveralSweepsAreMeasuredAgainByACommandEach) {
  const Made one({disturbed("a", 10, 0.34)}), two({disturbed("b", 10, 0.34)});
  EXPECT_EQ(measure_again_command({one.points[0], two.points[0]}),
            "run_sweep SWEEP.yaml --force --only experiment=evaluate; "
            "run_sweep SWEEP.yaml --force --only experiment=evaluate");
}

TEST(Timing, TheCommandIsCalledAsTheUserCalledIt) {
  ASSERT_EQ(::setenv("TARFLOW_CALL_RUN_SWEEP", "./run_sweep", 1), 0);
  const Made made({disturbed("a", 10, 0.34)});
  EXPECT_THAT(measure_again_command(made.points), ::testing::StartsWith("./run_sweep SWEEP.yaml "));
  ::unsetenv("TARFLOW_CALL_RUN_SWEEP");
}

TEST(Timing, TheCommandThatMeasuresAgainNamesWhatWasDisturbed) {
  std::vector<record::Row> rows = {disturbed("a", 10, 0.34), disturbed("b", 10, 0.34)};
  for (int i = 0; i < 4; ++i) {
    rows.push_back(testing::evaluate_row(fmt::format("v{}", i), "j1", "[1-8-4-4]", "x", 4));
    rows.back()["cfg"] = 0.5 * (1 + i);
  }
  rows[1]["cfg"] = 2.0;
  const Made made(rows);
  EXPECT_EQ(measure_again_command({made.points[0], made.points[1]}),
            "run_sweep SWEEP.yaml --force --only experiment=evaluate --only strategy=For --only "
            "cfg=1,2");
}

}  // namespace
}  // namespace tarflow::analysis
