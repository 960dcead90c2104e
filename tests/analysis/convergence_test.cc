#include "analysis/tables/convergence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/show/markdown.h"
#include "analysis/tables/difference.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::HasSubstr;

std::vector<record::Array> curves(const std::string& id, bool with_distance = true) {
  const std::string jacobi = "convergence/" + id + "/jacobi/",
                    segments = "convergence/" + id + "/segments/";
  std::vector<record::Array> arrays = {
      record::make_array(jacobi + "iterations_to_percent", {2}, std::vector<int64_t>{2, 3}, "", ""),
      record::make_array(jacobi + "iterations_to_permille", {2}, std::vector<int64_t>{3, -1}, "",
                         ""),
      record::make_array(jacobi + "error_ratio_median", {2}, std::vector<double>{0.5, NAN}, "", ""),
      record::make_array(jacobi + "error_ratio_max", {2}, std::vector<double>{0.75, NAN}, "", ""),
      record::make_array("convergence/segment_blocks", {1}, std::vector<int64_t>{1}, "", ""),
      record::make_array(segments + "iterations_to_percent", {1, 2}, std::vector<int64_t>{4, 5}, "",
                         ""),
      record::make_array(segments + "iterations_to_permille", {1, 2}, std::vector<int64_t>{6, -1},
                         "", "")};
  if (with_distance) {
    arrays.push_back(record::make_array(jacobi + "relative_distance", {2, 3},
                                        std::vector<double>{.1, .01, 3e-7, .2, .1, .0625}, "", ""));
  }
  for (record::Array& array : arrays) array.point = id;
  arrays[4].point = "";
  return arrays;
}

record::Row row(const std::string& id, double clamp) {
  return {{"point", id},
          {"job", std::string("j")},
          {"experiment", std::string("convergence")},
          {"model", std::string("demo")},
          {"guess", std::string("z")},
          {"start", std::string("sequential")},
          {"clamp", clamp},
          {"segments", int64_t{4}},
          {"slowest_block", int64_t{1}}};
}

TEST(ConvergenceTables, ShowEachBlockAndWhatItsResidualTells) {
  record::JobRecord job = testing::make_job("j", "convergence", "m.pth", {"p0", "p1", "p2"});
  for (const char* id : {"p0", "p1", "p2"}) {
    for (record::Array& array : curves(id, id != std::string("p2"))) {
      if (array.point.empty() && id != std::string("p0")) continue;
      job.arrays.push_back(std::move(array));
    }
  }
  const std::vector<Source> sources = {
      testing::make_source("s", {row("p0", 0), row("p1", 3), row("p2", 2)}, {job})};
  const TableSet set = convergence_tables(points_of(sources));
  EXPECT_EQ(set.shown, 2u);
  ASSERT_EQ(set.left_out.size(), 1u);
  EXPECT_THAT(set.left_out[0], HasSubstr("convergence/p2/jacobi/relative_distance"));
  ASSERT_EQ(set.tables.size(), 2u);
  const std::string text = render_markdown(set.tables[0]);
  EXPECT_THAT(text, HasSubstr("Convergence of demo, clamp 0"));
  EXPECT_THAT(text, HasSubstr("no clamp"));
  EXPECT_THAT(text, HasSubstr("| 0 | 2 | 3 | 3.0e-07 | 0.5 | 0.75 | — | — |"));
  EXPECT_THAT(text, HasSubstr("| 1 | **3** | **never** | 0.0625 | — | — | 5 | never |"))
      << "the slowest segment counts";
  EXPECT_THAT(render_markdown(set.tables[1]), HasSubstr("clamp 3"));
}

TEST(ConvergenceTables, ArraysOfAnotherShapeAreLeftOut) {
  record::JobRecord job = testing::make_job("j", "convergence", "m.pth", {"p0"});
  job.arrays = curves("p0");
  job.arrays[2].shape = {1, 2};
  const std::vector<Source> sources = {testing::make_source("s", {row("p0", 0)}, {job})};
  const TableSet set = convergence_tables(points_of(sources));
  EXPECT_EQ(set.shown, 0u);
  ASSERT_EQ(set.left_out.size(), 1u);
  EXPECT_THAT(set.left_out[0], HasSubstr("error_ratio_median"));
}

TEST(DifferenceTables, HaveARowAStrategy) {
  const auto point = [](const std::string& id, const std::string& strategy, double cfg,
                        double median) {
    return record::Row{{"point", id},
                       {"job", std::string("j")},
                       {"experiment", std::string("compare")},
                       {"model", std::string("demo")},
                       {"strategy", strategy},
                       {"cfg", cfg},
                       {"attn_temp", 1.0},
                       {"self_denoising_lr", 0.0},
                       {"seed", int64_t{0}},
                       {"images_compared", int64_t{1000}},
                       {"nonfinite_images", int64_t{strategy == "[0-8-4-4]" ? 2 : 0}},
                       {"deviation_median", median},
                       {"deviation_p99", 0.5},
                       {"deviation_max", INFINITY}};
  };
  const std::vector<Source> sources = {
      testing::make_source("s",
                           {point("p0", "[7-8-4-4]", 1, 0.125), point("p1", "[0-8-4-4]", 1, 0.25),
                            point("p2", "[7-8-4-4]", 2, 0.375)},
                           {testing::make_job("j", "compare", "m.pth", {"p0", "p1", "p2"})})};
  const TableSet set = difference_tables(points_of(sources));
  EXPECT_EQ(set.shown, 3u);
  ASSERT_EQ(set.tables.size(), 2u) << "one a setting";
  const std::string text = render_markdown(set.tables[0]);
  EXPECT_THAT(text, HasSubstr("Differences from For: demo, cfg 1"));
  EXPECT_THAT(text, HasSubstr("4-4\\] | 0.1250 | 0.5000 | inf | 1,000 |"));
  EXPECT_THAT(text, HasSubstr("2 images had values that are not finite"));
}

}  // namespace
}  // namespace tarflow::analysis
