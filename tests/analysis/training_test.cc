#include "analysis/page/training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "analysis/show/markdown.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

record::Row train_row(const std::string& id, int64_t seed) {
  return {{"point", id},
          {"job", std::string("j")},
          {"experiment", std::string("train")},
          {"name", std::string("afhq")},
          {"device", std::string("cpu")},
          {"compute", std::string("float32")},
          {"image_size", int64_t{8}},
          {"patch_size", int64_t{2}},
          {"channels", int64_t{64}},
          {"blocks", int64_t{2}},
          {"layers", int64_t{1}},
          {"batch", int64_t{12}},
          {"seed", seed},
          {"images_used", int64_t{1200}},
          {"steps_done", int64_t{600}},
          {"steps_skipped", int64_t{0}},
          {"first_loss", 0.25},
          {"last_loss", -1.5},
          {"smoke", int64_t{0}}};
}

// A job with the arrays of a training of 600 steps.
record::JobRecord training_job(const std::vector<std::string>& points) {
  record::JobRecord job = testing::make_job("j", "train", "", points);
  std::vector<double> loss, squares;
  for (int step = 0; step < 600; ++step) {
    loss.push_back(step % 2);
    squares.insert(squares.end(), {1.0, 2.0});
  }
  loss[0] = std::numeric_limits<double>::quiet_NaN();
  job.arrays = {
      record::make_array("held_out/loss", {1}, std::vector<double>{-1.25}, "", "x"),
      record::make_array("held_out/step", {1}, std::vector<int64_t>{600}, "", "x"),
      record::make_array("samples/pixels", {3, 2, 2, 2, 3}, std::vector<uint8_t>(72, 9), "", "x"),
      record::make_array("samples/step", {3}, std::vector<int64_t>{200, 400, 600}, "", "x"),
      record::make_array("training/block_squares", {600, 2}, squares, "", "x"),
      record::make_array("training/loss", {600}, loss, "", "x")};
  return job;
}

TEST(TrainingTables, OneRowATraining) {
  const std::vector<Source> sources = {testing::make_source(
      "s", {train_row("p1", 0), train_row("p2", 1)}, {training_job({"p1", "p2"})})};
  const TableSet set = training_tables(points_of(sources));
  ASSERT_THAT(set.tables, SizeIs(1));
  EXPECT_EQ(set.shown, 2u);
  const std::string text = render_markdown(set.tables[0]);
  EXPECT_THAT(text, HasSubstr("| afhq, seed 0 | 8px P2 C64 K2 L1 | 1,200 | 12 | 600 | 0.2500 | "
                              "-1.5000 | 0 |"));
  EXPECT_THAT(text, Not(HasSubstr("held out"))) << "no row has it";
}

TEST(TrainingTables, ShowWhereAStepsTimeGoes) {
  record::Row row = train_row("p1", 0);
  row["profiled_steps"] = int64_t{3};
  row["profiled_step_seconds"] = 0.25;
  row["idle_share"] = 0.015;
  record::JobRecord job = training_job({"p1"});
  const auto words = [&](const char* path, std::vector<std::string> values) {
    record::Array array;
    array.path = path;
    array.type = record::ArrayType::kString;
    array.shape = {static_cast<int64_t>(values.size())};
    array.strings = std::move(values);
    job.arrays.push_back(std::move(array));
  };
  words("training/kernels/name", {std::string(80, 'x'), "copy"});
  words("training/kernels/kind", {"gemm", "copy"});
  job.arrays.push_back(
      record::make_array("training/kernels/seconds", {2}, std::vector<double>{0.15, 0.05}, "s", ""));
  job.arrays.push_back(
      record::make_array("training/kernels/calls", {2}, std::vector<double>{12, 1.5}, "", ""));
  const std::vector<Source> sources = {testing::make_source("s", {row}, {job})};
  const TableSet set = training_tables(points_of(sources));
  ASSERT_THAT(set.tables, SizeIs(2));
  const std::string text = render_markdown(set.tables[1]);
  EXPECT_THAT(text, HasSubstr("Where a training step's time goes: afhq"));
  EXPECT_THAT(text, HasSubstr(std::string(60, 'x') + " ... | gemm | 12.0 | 150.00 | 75.0 |"));
  EXPECT_THAT(text, HasSubstr("| copy | copy | 1.5 | 50.00 | 25.0 |"));
  EXPECT_THAT(text, HasSubstr("Of 3 profiled steps on cpu"));
  EXPECT_THAT(text, HasSubstr("1.5 % of the time no kernel ran"));
}

TEST(TrainingPlots, ShowMeansOfStretchesAndHeldOutLosses) {
  const std::vector<Source> sources = {
      testing::make_source("s", {train_row("p1", 0)}, {training_job({"p1"})})};
  const std::vector<Plot> plots = training_plots(points_of(sources));
  ASSERT_THAT(plots, SizeIs(2));
  EXPECT_THAT(plots[0].caption, HasSubstr("means of 2 steps"));
  EXPECT_THAT(plots[0].data, HasSubstr("\n1.5 1\n3.5 0.5\n"))
      << "the step without a loss is left out";
  EXPECT_THAT(plots[0].data, HasSubstr("\n600 -1.25\n"));
  EXPECT_THAT(plots[0].command, HasSubstr("held out"));
  EXPECT_THAT(plots[1].command, HasSubstr("block 1"));
}

TEST(TrainingStrips, ShowSamplesOverTime) {
  const std::vector<Source> sources = {
      testing::make_source("s", {train_row("p1", 0)}, {training_job({"p1"})})};
  std::vector<std::string> problems;
  const std::vector<Strips> strips = training_strips(points_of(sources), problems);
  ASSERT_THAT(strips, SizeIs(1));
  ASSERT_THAT(strips[0].rows, SizeIs(3));
  EXPECT_EQ(strips[0].rows[2].label, "step 600");
  EXPECT_THAT(strips[0].rows[0].images, SizeIs(2));
}

TEST(TrainingPlots, NeedTheArrays) {
  const std::vector<Source> sources = {testing::make_source(
      "s", {train_row("p1", 0)}, {testing::make_job("j", "train", "", {"p1"})})};
  EXPECT_THAT(training_plots(points_of(sources)), IsEmpty());
  std::vector<std::string> problems;
  EXPECT_THAT(training_strips(points_of(sources), problems), IsEmpty());
}

}  // namespace
}  // namespace tarflow::analysis
