#include "analysis/tables/distances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/show/markdown.h"
#include "analysis/tables/speedup.h"
#include "analysis/tables/speedup_block.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kSequential = "blocks 1-0: sequential";
constexpr const char* kGs =
    "block 1: gs 8 x 4 guess z clamp 3 stop 1e-06; block 0: jacobi 4 guess z";
constexpr int kGroups = 10;

record::Row row_of(const std::string& id, const std::string& job, bool sequential, int64_t seed,
                   double distance) {
  record::Row row = testing::evaluate_row(id, job, sequential ? "For" : "[1-8-4-4]",
                                          sequential ? kSequential : kGs, 10);
  row["seed"] = seed;
  row["chunk"] = int64_t{16};
  row["distance"] = distance;
  return row;
}

// The distance without each of ten equal groups: `distance` and +-step in turn.
void add_jackknife(record::JobRecord& job, record::Row& row, double distance, double step) {
  std::vector<double> values;
  for (int g = 0; g < kGroups; ++g) values.push_back(distance + (g % 2 ? step : -step));
  const std::string id = std::get<std::string>(row.at("point"));
  const std::string folder = "jackknife/" + id + "/";
  job.arrays.push_back(record::make_array(folder + "distance", {kGroups}, values, "", ""));
  job.arrays.push_back(
      record::make_array(folder + "count", {kGroups}, std::vector<int64_t>(kGroups, 26), "", ""));
  for (auto array = job.arrays.end() - 2; array != job.arrays.end(); ++array) array->point = id;
  row["distance_error"] = step * 3;  // sqrt(9 / 10 * 10 step^2)
  row["distance_groups"] = int64_t{kGroups};
}

// For at 1.25 and a strategy at 1.5 on the noise of one seed, with errors.
Source one_seed() {
  record::JobRecord exact = testing::make_job("j1", "evaluate", "small.pth", {"p1"});
  record::JobRecord gs = testing::make_job("j2", "evaluate", "small.pth", {"p2"});
  std::vector<record::Row> rows = {row_of("p1", "j1", true, 0, 1.25),
                                   row_of("p2", "j2", false, 0, 1.5)};
  add_jackknife(exact, rows[0], 1.25, 0.02);
  add_jackknife(gs, rows[1], 1.5, 0.03);
  return testing::make_source("s", std::move(rows), {exact, gs});
}

std::string markdown_of(const Source& source) {
  const std::vector<Source> sources = {source};
  std::string text;
  for (const Table& table : distance_tables(points_of(sources))) text += render_markdown(table);
  return text;
}

// What both runs share goes out of the difference: its error is that of steps of 0.01, not of 0.02
// and 0.03 apart.
TEST(Distances, OneSeedHasJackknifeErrorsAndPairedDifferences) {
  const std::string text = markdown_of(one_seed());
  EXPECT_THAT(text, HasSubstr("## Distances of demo: FD(small)"));
  EXPECT_THAT(text, HasSubstr("cpu, fp32, 256 images in chunks of 16, against 1,000 images of"));
  EXPECT_THAT(
      text,
      HasSubstr("| strategy | cfg | self\\_denoising\\_lr | seed | images | distance | − For |"));
  EXPECT_THAT(text, HasSubstr("| For | 1 | 0 | 0 | 256 | 1.2500 ± 0.0600 | 0 |"));
  EXPECT_THAT(text, HasSubstr("| \\[1-8-4-4\\] | 1 | 0 | 0 | 256 | 1.5000 ± 0.0900 | +0.2500 ± "
                              "0.0300 |"));
  EXPECT_THAT(text, HasSubstr("leaving out one group of images at a time"));
  EXPECT_THAT(text, Not(HasSubstr("KID")));
}

TEST(Distances, TheSpeedUpTableShowsTheErrorToo) {
  const std::vector<Source> sources = {one_seed()};
  std::string text;
  for (const Table& table : speedup_tables(points_of(sources), nullptr).tables)
    text += render_markdown(table);
  EXPECT_THAT(text, HasSubstr("| 1.00 | 1.2500 ± 0.0600 | 256 | —"));
  EXPECT_THAT(text, HasSubstr("## Distances of demo"));
}

TEST(Distances, TwoSeedsStandApartAndThreeHaveAMean) {
  std::vector<record::Row> rows;
  for (const int64_t seed : {0, 1}) {
    rows.push_back(row_of("e" + std::to_string(seed), "j1", true, seed, 1.0 + 0.1 * seed));
    rows.push_back(row_of("g" + std::to_string(seed), "j2", false, seed, 1.3 + 0.1 * seed));
  }
  std::string text = markdown_of(testing::make_source("s", rows, {}));
  EXPECT_THAT(text, HasSubstr("| For | 1 | 0 | 0 | 256 | 1.0000ᵃ | 0 |"));
  EXPECT_THAT(text, HasSubstr("| For | 1 | 0 | 1 | 256 | 1.1000ᵃ | 0 |"));
  EXPECT_THAT(text, HasSubstr("| 1.3000ᵃ | +0.3000ᵃ |"));
  EXPECT_THAT(text, HasSubstr("ᵃ no error was measured"));

  rows.push_back(row_of("e2", "j1", true, 2, 1.5));
  rows.push_back(row_of("g2", "j2", false, 2, 1.7));
  text = markdown_of(testing::make_source("s", rows, {}));
  // 1.0, 1.1, 1.5: mean 1.2, sum of squares 0.14; differences 0.3, 0.3, 0.2.
  EXPECT_THAT(text, HasSubstr("| For | 1 | 0 | 3 seeds | 256 | 1.2000 ± 0.1528 | 0 |"));
  EXPECT_THAT(text, HasSubstr("| 3 seeds | 256 | 1.4667 ± 0.1202 | +0.2667 ± 0.0333 |"));
  EXPECT_THAT(text, HasSubstr("mean and standard error over seeds"));

  rows.erase(rows.begin());  // For at seed 0
  text = markdown_of(testing::make_source("s", rows, {}));
  EXPECT_THAT(text, HasSubstr("| 1.4667 ± 0.1202 | —"));
  EXPECT_THAT(text, HasSubstr("For was measured with 2 of the seeds"));
}

TEST(Distances, MeansOfTwoSeedsHaveTheErrorOfBothJackknives) {
  Source source = one_seed();
  record::Row other = source.sweep.rows[0];
  other["point"] = std::string("p3");
  other["seed"] = int64_t{1};
  other["distance"] = 1.35;
  other["distance_error"] = 0.08;
  source.sweep.rows.push_back(other);
  const std::vector<Source> sources = {source};
  const std::vector<Point> points = points_of(sources);
  const auto mean = mean_distance({points[0], points[2]});
  ASSERT_TRUE(mean && mean->error);
  EXPECT_NEAR(mean->value, 1.3, 1e-12);
  EXPECT_NEAR(*mean->error, std::hypot(0.06, 0.08) / 2, 1e-12);
  EXPECT_FALSE(mean_distance({}));
}

TEST(Distances, DifferencesAreMeansOverTheSeedsOfBoth) {
  std::vector<record::Row> rows;
  for (const int64_t seed : {0, 1, 2}) {
    const double n = static_cast<double>(seed);
    rows.push_back(row_of("e" + std::to_string(seed), "j1", true, seed, 1.0 + n));
    rows.push_back(row_of("g" + std::to_string(seed), "j2", false, seed, 1.1 + 1.1 * n));
  }
  const std::vector<Source> sources = {testing::make_source("s", rows, {})};
  std::vector<Point> exact, other;
  for (const Point& point : points_of(sources))
    (is_sequential(point) ? exact : other).push_back(point);
  const auto difference = mean_difference(other, exact);  // 0.1, 0.2, 0.3
  ASSERT_TRUE(difference && difference->error);
  EXPECT_NEAR(difference->value, 0.2, 1e-12);
  EXPECT_NEAR(*difference->error, 0.1 / std::sqrt(3), 1e-12);
  exact.resize(1);
  EXPECT_FALSE(mean_difference(other, exact)->error);
  EXPECT_FALSE(mean_difference(other, {}));
}

TEST(Distances, ASeedMeasuredTwiceCountsOnce) {
  std::vector<record::Row> rows;
  for (int i = 0; i < 3; ++i) rows.push_back(row_of("e" + std::to_string(i), "j1", true, 0, 1 + i));
  EXPECT_THAT(markdown_of(testing::make_source("s", rows, {})), Not(HasSubstr("seeds |")));
}

// Other noise, another chunk or another reference: no difference is taken.
TEST(Distances, OnlyRunsOnTheSameNoiseAreSubtracted) {
  Source source = one_seed();
  source.sweep.rows[1]["seed"] = int64_t{1};
  EXPECT_THAT(markdown_of(source), HasSubstr("For was not measured on this noise"));
  for (const char* setting : {"cfg", "self_denoising_lr", "attn_temp"}) {
    source = one_seed();
    source.sweep.rows[1][setting] = 0.5;
    EXPECT_THAT(markdown_of(source), HasSubstr("For was not measured at these settings"))
        << setting;
  }
  source = one_seed();
  source.sweep.rows[1]["chunk"] = int64_t{32};
  EXPECT_THAT(markdown_of(source), HasSubstr("For was not measured at these settings"));
  source = one_seed();
  source.sweep.jobs.at("j2").job["points"][0]["contents"] = {{"reference", "89ab"}};
  const std::vector<Source> sources = {source};
  EXPECT_THAT(distance_tables(points_of(sources)), SizeIs(2));
  EXPECT_THAT(speedup_blocks(points_of(sources)), SizeIs(2));
}

TEST(Distances, GroupsThatDifferGiveNoError) {
  Source source = one_seed();
  record::JobRecord& job = source.sweep.jobs.at("j2");
  job.arrays[0].shape = job.arrays[1].shape = {kGroups - 1};
  for (record::Array& array : job.arrays) array.data.resize((kGroups - 1) * 8);
  EXPECT_THAT(markdown_of(source), HasSubstr("| +0.2500ᵃ |"));
  EXPECT_THAT(markdown_of(source), HasSubstr("make the groups differ"));
}

TEST(Distances, TooFewGroupsAreSaid) {
  Source source = one_seed();
  source.sweep.rows[1].erase("distance_error");
  source.sweep.rows[1]["distance_groups"] = int64_t{2};
  source.sweep.jobs.at("j2").arrays.clear();
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("| 1.5000ᵃ | +0.2500ᵃ |"));
  EXPECT_THAT(text, HasSubstr("ᵃ no error: 2 groups of chunks, 10 are needed"));
}

TEST(Distances, FewerImagesThanFeaturesAreSaidLoudly) {
  Source source = one_seed();
  for (record::Row& row : source.sweep.rows) row["features"] = int64_t{2048};
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("FEWER IMAGES (256) THAN FEATURES (2,048)"));
  EXPECT_THAT(text, HasSubstr("| **256** |"));
  const std::vector<Source> sources = {source};
  EXPECT_THAT(render_markdown(speedup_tables(points_of(sources), nullptr).tables.at(2)),
              HasSubstr("FEWER IMAGES (256) THAN FEATURES (2,048)"));
}

TEST(Distances, ImagesLeftOutAreCountedBesideTheDistance) {
  Source source = one_seed();
  source.sweep.rows[1]["nonfinite_images"] = int64_t{3};
  source.sweep.rows[1]["distance_images"] = int64_t{253};
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("| 253 (3 left out)ᵃ | 1.5000 ± 0.0900 |"));
  EXPECT_THAT(text, HasSubstr("ᵃ images with values that are not finite"));
}

TEST(Distances, KernelDistancePrecisionAndRecallStandBesideIt) {
  Source source = one_seed();
  source.sweep.rows[0].insert({{"kid", 0.0125}, {"kid_deviation", 0.0005}});
  source.sweep.rows[0].insert({{"precision", 0.75}, {"recall", 0.5}});
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("| 0 | 0.01250 | 0.750 | 0.500 |"));
  EXPECT_THAT(text, HasSubstr("| +0.2500 ± 0.0300 | — | — | — |"));
}

TEST(Distances, PointsWithoutOneAreInNoTable) {
  Source source = one_seed();
  for (record::Row& row : source.sweep.rows) row["distance"] = std::nan("");
  const std::vector<Source> sources = {source};
  EXPECT_THAT(distance_tables(points_of(sources)), IsEmpty());
}

}  // namespace
}  // namespace tarflow::analysis
