#include "analysis/tables/tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/show/markdown.h"
#include "analysis/tables/speedup.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

record::Row tune_row(int64_t exclusive) {
  return {
      {"point", std::string("p")},
      {"job", std::string("j")},
      {"experiment", std::string("tune")},
      {"model", std::string("demo")},
      {"device", std::string("a CPU")},
      {"compute", std::string("float32")},
      {"batch", int64_t{4}},
      {"cfg", 1.0},
      {"deviation", 0.03},
      {"strategy_yaml", std::string("{label: \"tuned 0.03\", blocks: {1: sequential, 0: {segments: "
                                    "1}}}")},
      {"strategy_file", std::string("s/jobs/j/strategy.yaml")},
      {"sequential_seconds", 4.0},
      {"predicted_seconds", 3.0},
      {"measured_seconds", 2.5},
      {"predicted_deviation", 0.02},
      {"measured_deviation", 0.025},
      {"trials", int64_t{7}},
      {"rounds", int64_t{2}},
      {"tuning_seconds", 60.0},
      {"exclusive", exclusive},
      {"smoke", int64_t{0}}};
}

record::JobRecord tune_job() {
  record::JobRecord job = testing::make_job("j", "tune", "demo.pth", {"p"});
  const auto add = [&](const std::string& name, std::vector<double> values) {
    job.arrays.push_back(record::make_array("tune/" + name, {2}, values, "", ""));
  };
  add("crm_percent", {20, 80});
  add("sequential_seconds", {2, 2});
  add("predicted_seconds", {1, 2});
  add("measured_seconds", {0.5, 2});
  add("deviation", {0.02, 0});
  add("rounding", {0.011, 0.012});
  add("error_share", {1, 0});
  add("amplification", {0.75, NAN});
  record::Array methods;
  methods.path = "tune/method";
  methods.type = record::ArrayType::kString;
  methods.shape = {2};
  methods.strings = {"window 8", "sequential"};
  job.arrays.push_back(methods);
  return job;
}

TEST(TuningTables, ShowEachBlockAndTheStrategy) {
  const std::vector<Source> sources = {testing::make_source("s", {tune_row(1)}, {tune_job()})};
  const TableSet set = tuning_tables(points_of(sources));
  ASSERT_EQ(set.tables.size(), 1u);
  EXPECT_EQ(set.shown, 1u);
  const std::string text = render_markdown(set.tables[0]);
  EXPECT_THAT(text, HasSubstr("Tuning: demo, a CPU, float32, 4 images at once, cfg 1, deviation "
                              "0.03"));
  EXPECT_THAT(text, HasSubstr("Strategy in YAML: {label: "));
  EXPECT_THAT(text,
              HasSubstr("| 1 | sequential | 80.0 | 2.00 | 2.00 | 2.00 | 0 | 0.0120 | 0.0 | — |"));
  EXPECT_THAT(text, HasSubstr("| 0 | window 8 | 20.0 | 2.00 | 1.00 | 0.50 | 0.0200 | 0.0110 |"));
  EXPECT_THAT(text, HasSubstr("The predicted time is +20.0 % from the measured one"));
  EXPECT_THAT(text, AllOf(HasSubstr("7 methods tried, 2 strategies measured, in 60 s"),
                          HasSubstr("s/jobs/j/strategy.yaml")));
}

TEST(TuningTables, OfOlderProgramsSaySo) {
  record::JobRecord job = tune_job();
  std::erase_if(job.arrays,
                [](const record::Array& array) { return array.path == "tune/rounding"; });
  const std::vector<Source> sources = {testing::make_source("s", {tune_row(1)}, {job})};
  const std::string text = render_markdown(tuning_tables(points_of(sources)).tables.at(0));
  EXPECT_THAT(text,
              AllOf(HasSubstr("did not measure rounding"), HasSubstr("| 0.50 | 0.0200 | — |")));
}

TEST(TuningTables, SayWhereTimesDoNotCount) {
  const std::vector<Source> sources = {testing::make_source("s", {tune_row(0)}, {tune_job()})};
  EXPECT_THAT(render_markdown(tuning_tables(points_of(sources)).tables[0]),
              HasSubstr("something else used the device"));
}

TEST(TuningTables, LeaveOutPointsWithoutArrays) {
  record::JobRecord job = tune_job();
  job.arrays.erase(job.arrays.begin());
  const std::vector<Source> sources = {testing::make_source("s", {tune_row(1)}, {job})};
  const TableSet set = tuning_tables(points_of(sources));
  EXPECT_TRUE(set.tables.empty());
  EXPECT_THAT(set.left_out, ::testing::ElementsAre(HasSubstr("tune/crm_percent has no 2 values")));
}

TEST(TuningTables, SpeedupsSayWhatAutoIs) {
  record::Row row =
      testing::evaluate_row("p", "j", "auto", "blocks 1-0: chosen by measurements", 2);
  row["tuned_strategy"] = std::string("blocks 1-0: window 8");
  row["tuned_hash"] = std::string("0123456789ab");
  row["chunk"] = int64_t{64};
  const std::vector<Source> sources = {
      testing::make_source("s", {row}, {testing::make_job("j", "evaluate", "demo.pth", {"p"})})};
  const TableSet set = speedup_tables(points_of(sources), nullptr);
  EXPECT_THAT(render_markdown(set.tables.back()),
              HasSubstr("chosen for demo, cfg 1, chunk 64: blocks 1-0: window 8 (0123456789ab)"));
}

}  // namespace
}  // namespace tarflow::analysis
