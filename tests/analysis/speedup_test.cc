#include "analysis/speedup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/markdown.h"
#include "analysis/speedup_block.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kSequential = "blocks 1-0: sequential";
constexpr const char* kGs =
    "block 1: gs 8 x 4 guess z clamp 3 stop 1e-06; block 0: jacobi 4 guess z";

record::Array flat_images(float first, float second) {
  std::vector<float> values(12, first);
  values.insert(values.end(), 12, second);
  return testing::images_array(2, 2, values);
}

// For and one GS-Jacobi strategy at cfg 1; images of rms 2, differing by 0 and 0.2.
Source demo() {
  record::JobRecord sequential = testing::make_job("j1", "evaluate", "small.pth", {"p1"});
  record::JobRecord gs = testing::make_job("j2", "evaluate", "small.pth", {"p2"});
  sequential.arrays = {flat_images(2, -2)};
  gs.arrays = {flat_images(2, -1.8f)};
  return testing::make_source("demo",
                              {testing::evaluate_row("p1", "j1", "For", kSequential, 10),
                               testing::evaluate_row("p2", "j2", "[1-8-4-4]", kGs, 4)},
                              {sequential, gs});
}

std::string markdown_of(const Source& source, const Published* published = nullptr) {
  const std::vector<Source> sources = {source};
  std::string text;
  for (const Table& table : speedup_tables(points_of(sources), published).tables) {
    text += render_markdown(table);
  }
  return text;
}

TEST(Speedup, ComparesStrategiesWithFor) {
  const std::string text = markdown_of(demo());
  EXPECT_THAT(text, HasSubstr("## demo: cfg 1, attention temperature 1, self-denoising 0"));
  EXPECT_THAT(text,
              HasSubstr("cpu, fp32, 256 images, seed 0. Distance: FD(small) of 256 images against "
                        "1,000 reference images, 96 features. Deviation of the first 2 images."));
  EXPECT_THAT(text,
              HasSubstr("| For | 10.00 | 7.50 | 25.60 | 1.00 | 1.2500 | 256 | 0 | 0 | 2.0 |"));
  EXPECT_THAT(
      text,
      HasSubstr("| \\[1-8-4-4\\] | 4.00 | 3.00 | 64.00 | 2.50 | 1.2500 | 256 | 0.0500 | 0.0990 | "
                "12.5 |"));
  EXPECT_THAT(text, HasSubstr("| \\[1-8-4-4\\] | block 1: gs 8 x 4"));
}

TEST(Speedup, SaysWhichGuessesWereChosen) {
  Source source = demo();
  EXPECT_EQ(markdown_of(source).find("chosen"), std::string::npos);
  source.sweep.rows[1]["chosen_guesses"] = std::string(R"(["z","zero"])");
  EXPECT_THAT(markdown_of(source),
              HasSubstr("; chosen, last block first: \\[z, zero\\] for demo |"));
}

TEST(Speedup, WithoutForThereIsNoRate) {
  Source source = demo();
  source.sweep.rows.erase(source.sweep.rows.begin());
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("| 4.00 | 3.00 | 64.00 | —ᵃ | 1.2500 | 256 | —ᵃ | —ᵃ | 12.5 |"));
  EXPECT_THAT(text, HasSubstr("ᵃ no For was measured at these settings"));
}

TEST(Speedup, InvalidTimingsAreMarkedAndNotUsed) {
  for (const char* column : {"exclusive", "interrupted", "smoke"}) {
    Source source = demo();
    source.sweep.rows[1][column] = int64_t{std::string(column) != "exclusive"};
    EXPECT_THAT(markdown_of(source), HasSubstr("| 4.00ᵃ | 3.00ᵃ | 64.00ᵃ | —ᵃ | 1.2500")) << column;
    source = demo();
    source.sweep.rows[0][column] = int64_t{std::string(column) != "exclusive"};
    EXPECT_THAT(markdown_of(source), HasSubstr("| 4.00 | 3.00 | 64.00 | —")) << column;
  }
  Source source = demo();
  source.sweep.rows[0].erase("exclusive");
  EXPECT_THAT(markdown_of(source), HasSubstr("whether the device was shared is not recorded"));
}

TEST(Speedup, AValidForIsPreferred) {
  Source source = demo();
  record::Row again = source.sweep.rows[0];
  source.sweep.rows[0]["interrupted"] = int64_t{1};
  again["point"] = std::string("p3");
  again["total_seconds"] = 12.0;
  source.sweep.rows.push_back(again);
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("| 4.00 | 3.00 | 64.00 | 3.00 |"));
  EXPECT_THAT(text, HasSubstr("ᵃ point p1"));  // two of one name
  EXPECT_THAT(text, HasSubstr("point p3"));
}

TEST(Speedup, PointsThatDifferInMoreThanTheStrategyAreNotCompared) {
  const std::vector<std::pair<std::string, record::Cell>> changes = {
      {"cfg", 0.0},
      {"attn_temp", 0.5},
      {"seed", int64_t{1}},
      {"self_denoising_lr", 1.0},
      {"num_images", int64_t{64}},
      {"device", std::string("gpu")},
      {"model", std::string("other")},
      {"compute", std::string("bfloat16")},
      {"distance_name", std::string("FD(other)")}};
  for (const auto& [column, value] : changes) {
    Source source = demo();
    source.sweep.rows[1][column] = value;
    const std::vector<Source> sources = {source};
    EXPECT_EQ(speedup_blocks(points_of(sources)).size(), 2u) << column;
  }
  Source source = demo();
  source.sweep.jobs.at("j2").job["model"]["sha256"] = "4567ef01";
  EXPECT_THAT(markdown_of(source), HasSubstr("## demo, checkpoint 4567ef01: cfg 1"));
}

TEST(Speedup, BlocksAreOrderedByNumbers) {
  std::vector<record::Row> rows;
  for (const double cfg : {10.0, 2.0, 0.5}) {
    rows.push_back(testing::evaluate_row(std::to_string(rows.size()), "j1", "For", kSequential, 1));
    rows.back()["cfg"] = cfg;
  }
  const std::vector<Source> sources = {testing::make_source("s", rows, {})};
  std::vector<double> order;
  for (const SpeedupBlock& block : speedup_blocks(points_of(sources))) {
    order.push_back(*block.points.front().number("cfg"));
  }
  EXPECT_THAT(order, ElementsAre(0.5, 2.0, 10.0));
}

TEST(Speedup, DifferentStrategiesOfOneNameAreNumbered) {
  Source source = demo();
  record::Row other = source.sweep.rows[1];
  other["point"] = std::string("p3");
  other["strategy_blocks"] = std::string("block 1: gs 8 x 4 guess 0; block 0: jacobi 4 guess 0");
  source.sweep.rows.push_back(other);
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("| \\[1-8-4-4\\] | block 1: gs 8 x 4 guess 0"));
  EXPECT_THAT(text, HasSubstr("| \\[1-8-4-4\\] (2) | block 1: gs 8 x 4 guess z"));
}

TEST(Speedup, MissingImagesAndValuesAreSaid) {
  Source source = demo();
  source.sweep.jobs.at("j2").arrays.clear();
  source.sweep.rows[1].erase("distance");
  source.sweep.rows[1]["total_seconds"] = std::nan("");
  source.sweep.rows[1]["nonfinite_images"] = int64_t{3};
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("| — | 3.00 | 64.00 | —ᵃ | —ᵇ | — | —ᶜ | —ᶜ | 12.5 |"));
  EXPECT_THAT(text, HasSubstr("ᵃ a total time is missing"));
  EXPECT_THAT(text, HasSubstr("ᵇ 3 images had values that are not finite"));
  EXPECT_THAT(text, HasSubstr("ᶜ its images before self-denoising were not kept"));
}

TEST(Speedup, PublishedFiguresStandBesideTheSameStrategy) {
  const Published published = testing::published_figures();
  const PublishedModel& img64 = published.models.at(3);
  Source source = demo();
  for (auto& [hash, job] : source.sweep.jobs)
    job.job["model"]["checkpoint"] = "/m/" + img64.checkpoint;
  EXPECT_THAT(markdown_of(source, &published),
              HasSubstr("| \\[0/7-256/8-1/13-6\\] | —ᵃ | 4.97 | —ᵃ | 2.51ᵇ | —ᵃ | 4.42 |"));
  source.sweep.rows[1]["strategy_blocks"] = describe(img64.strategy);
  source.sweep.rows[1]["distance_name"] = source.sweep.rows[0]["distance_name"] =
      std::string("FID");
  const std::string text = markdown_of(source, &published);
  EXPECT_THAT(
      text, HasSubstr("| strategy | measured total s | published time | measured rate | published "
                      "rate | measured FID | published FID |"));
  EXPECT_THAT(text, HasSubstr("| For | 10.00 | 12.16 | 1.00 | 1.00 | 1.25 | 4.42 |"));
  EXPECT_THAT(text,
              HasSubstr("| \\[0/7-256/8-1/13-6\\] | 4.00 | 4.97 | 2.50 | 2.51ᵃ | 1.25 | 4.42 |"));
  EXPECT_THAT(text, HasSubstr("|  | demo | Img64cond (published) |"));
  EXPECT_THAT(text, HasSubstr("| \"For\" time | 10.00 | 12.16 |"));
  EXPECT_THAT(text, HasSubstr("| strategy | \\[1-8-4-4\\] | \\[0/7-256/8-1/13-6\\] |"));
  EXPECT_THAT(text, HasSubstr("| rate | 2.50 | 2.51 |"));
  EXPECT_THAT(text, HasSubstr("ᵃ as printed; the published times give 2.45"));
  EXPECT_THAT(
      text, HasSubstr("cfg 1 (published 2), self-denoising 0 (published 1), images 256 (published "
                      "50000), fp32 (published bfloat16)"));
  EXPECT_THAT(text, HasSubstr("8 A800, 50,000 images, batch 1,024, bfloat16"));
  EXPECT_THAT(text, HasSubstr("unit not stated"));
  EXPECT_THAT(markdown_of(demo(), &published), Not(HasSubstr("ublished")));
}

TEST(Speedup, ThePapersLayoutTakesValidTimesWithinOnePercentOnly) {
  Source source = demo();
  EXPECT_THAT(markdown_of(source), HasSubstr("| rate | 2.50 |\n"));
  source.sweep.rows[1]["distance"] = 1.25 * 1.02;
  EXPECT_THAT(markdown_of(source), HasSubstr("no strategy is within 1 % of For's distance"));
  source.sweep.rows[1]["distance"] = 1.25;
  source.sweep.rows[1]["exclusive"] = int64_t{0};
  EXPECT_THAT(markdown_of(source), HasSubstr("no strategy is within 1 % of For's distance"));
  source.sweep.rows[0]["interrupted"] = int64_t{1};
  EXPECT_THAT(markdown_of(source), Not(HasSubstr("paper's layout")));
}

TEST(Speedup, PublishedFiguresStandBesideTheNearestSettingsOnly) {
  const Published published = testing::published_figures();
  Source source = demo();
  for (auto& [hash, job] : source.sweep.jobs) {
    job.job["model"]["checkpoint"] = published.models.at(1).checkpoint;
  }
  record::Row near = source.sweep.rows[0];
  near["point"] = std::string("p3");
  near["cfg"] = published.models.at(1).cfg;
  source.sweep.rows.push_back(near);
  const std::string text = markdown_of(source, &published);
  EXPECT_THAT(text, HasSubstr("figures of AFHQ — demo: cfg 3.4"));
  EXPECT_THAT(text, Not(HasSubstr("figures of AFHQ — demo: cfg 1,")));
}

TEST(Speedup, NothingMeasuredGivesNoTable) {
  EXPECT_THAT(speedup_tables({}, nullptr).tables, IsEmpty());
}

}  // namespace
}  // namespace tarflow::analysis
