#include "analysis/tables/speedup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/show/markdown.h"
#include "analysis/tables/speedup_block.h"
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
  EXPECT_THAT(text,
              HasSubstr("## Speed-up of demo: cfg 1, attn\\_temp 1, self\\_denoising\\_lr 0"));
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
  EXPECT_THAT(text, HasSubstr("ᵃ For was not measured at these settings"));
}

TEST(Speedup, ASeedThatForLacksIsToldAlsoOfADisturbedTime) {
  Source source = demo();
  source.sweep.rows[1]["seed"] = int64_t{2};
  source.sweep.rows[1]["exclusive"] = int64_t{0};
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("For was not measured with seed 2"));
  EXPECT_THAT(text, HasSubstr("no strategy is within 1 % of For's distance; not compared, as For "
                              "was measured with other seeds: \\[1-8-4-4\\]"));
}

TEST(Speedup, ImagesPerSecondAreAllImagesOverAllSeconds) {
  Source source = demo();
  source.sweep.rows.push_back(testing::evaluate_row("p3", "j2", "[1-8-4-4]", kGs, 12));
  source.sweep.rows.back()["seed"] = int64_t{1};
  // 4 s and 12 s: 512 images in 16 s, while the mean of the rates is 42.67.
  EXPECT_THAT(markdown_of(source), HasSubstr("| 8.00 | 6.00 | 32.00 |"));
}

TEST(Speedup, TheShareThatOthersTookIsTold) {
  Source source = demo();
  for (record::Row& row : source.sweep.rows) {
    row["exclusive"] = int64_t{0};
    row["device"] = std::string("AMD EPYC, 2 threads");
    row["foreign_cpu_share"] = row["point"] == record::Cell(std::string("p1")) ? 0.34 : 0.61;
  }
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("ᵃ indicative: others used 34 % to 61 % of the CPU (a time is valid "
                              "up to 10 %)"));
  EXPECT_THAT(text, HasSubstr("To measure again on a quiet machine: run\\_sweep SWEEP.yaml"));
}

TEST(Speedup, ATrialIsComparedWithNothing) {
  Source source = demo();
  source.sweep.rows[1]["smoke"] = int64_t{1};
  const std::vector<Source> sources = {source};
  EXPECT_EQ(speedup_blocks(points_of(sources)).size(), 2u);
  source.sweep.rows[0]["smoke"] = int64_t{1};
  EXPECT_THAT(markdown_of(source), HasSubstr("| 4.00ᵃ | 3.00ᵃ | 64.00ᵃ | —ᵃ | 1.2500"));
}

TEST(Speedup, InvalidTimingsAreShownAsMeasuredAndMarked) {
  for (const char* column : {"exclusive", "interrupted"}) {
    Source source = demo();
    source.sweep.rows[1][column] = int64_t{std::string(column) != "exclusive"};
    EXPECT_THAT(markdown_of(source), HasSubstr("| 4.00ᵃ | 3.00ᵃ | 64.00ᵃ | 2.50ᵃ | 1.2500"))
        << column;
    source = demo();
    source.sweep.rows[0][column] = int64_t{std::string(column) != "exclusive"};
    EXPECT_THAT(markdown_of(source), HasSubstr("| 4.00 | 3.00 | 64.00 | 2.50ᵃ")) << column;
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
  EXPECT_THAT(markdown_of(source), HasSubstr("## Speed-up of demo, checkpoint 4567ef01: cfg 1"));
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
    order.push_back(*block.first().number("cfg"));
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
      text,
      HasSubstr("cfg 1 (published 2), self\\_denoising\\_lr 0 (published 1), images 256 (published "
                "50000), fp32 (published bfloat16)"));
  EXPECT_THAT(text, HasSubstr("8 A800, 50,000 images, batch 1,024, bfloat16"));
  EXPECT_THAT(text, HasSubstr("unit not stated"));
  EXPECT_THAT(markdown_of(demo(), &published), Not(HasSubstr("ublished")));
}

TEST(Speedup, ThePapersLayoutTakesStrategiesWithinOnePercentAndMarksIndicativeTimes) {
  Source source = demo();
  EXPECT_THAT(markdown_of(source), HasSubstr("| rate | 2.50 |\n"));
  source.sweep.rows[1]["distance"] = 1.25 * 1.02;
  EXPECT_THAT(markdown_of(source), HasSubstr("no strategy is within 1 % of For's distance"));
  source.sweep.rows[1]["distance"] = 1.25;
  source.sweep.rows[1]["exclusive"] = int64_t{0};
  EXPECT_THAT(markdown_of(source),
              AllOf(HasSubstr("| \"For\" time | 10.00 |"), HasSubstr("| time | 4.00ᵃ |"),
                    HasSubstr("| rate | 2.50ᵃ |\n")));
  source.sweep.rows[0]["interrupted"] = int64_t{1};
  EXPECT_THAT(markdown_of(source), HasSubstr("| \"For\" time | 10.00ᵃ |"));
  source.sweep.rows[0]["smoke"] = source.sweep.rows[1]["smoke"] = int64_t{1};
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
  EXPECT_THAT(text, HasSubstr("figures of AFHQ. Speed-up of demo: cfg 3.4"));
  EXPECT_THAT(text, Not(HasSubstr("figures of AFHQ. Speed-up of demo: cfg 1,")));
}

// For takes 10, 12 and 14 s, the strategy 4, 5 and 6 s.
Source three_seeds() {
  std::vector<record::Row> rows;
  const std::vector<double> distances = {1.0, 1.1, 1.5};
  for (const int64_t seed : {2, 0, 1}) {
    const double n = static_cast<double>(seed);
    const std::string id = std::to_string(seed);
    rows.push_back(testing::evaluate_row("e" + id, "j1", "For", kSequential, 10 + 2 * n));
    rows.push_back(testing::evaluate_row("g" + id, "j2", "[1-8-4-4]", kGs, 4 + n));
    for (size_t i = rows.size() - 2; i < rows.size(); ++i) {
      rows[i]["seed"] = seed;
      rows[i]["distance"] = distances[static_cast<size_t>(seed)];
    }
  }
  return testing::make_source("demo", std::move(rows), {});
}

TEST(Speedup, SeedsAreOneRowWithTheirMeans) {
  const std::vector<Source> sources = {three_seeds()};
  EXPECT_EQ(speedup_blocks(points_of(sources)).size(), 1u);
  const std::string text = markdown_of(three_seeds());
  EXPECT_THAT(text, HasSubstr("cpu, fp32, 256 images, seeds 0, 1, 2."));
  EXPECT_THAT(text, HasSubstr("| For | 12.00 | 9.00 | 21.33 | 1.00 | 1.2000 ± 0.1528 | 256 |"));
  // (10 + 12 + 14) / (4 + 5 + 6)
  EXPECT_THAT(text, HasSubstr("| \\[1-8-4-4\\] | 5.00 | 3.75 | 51.20 | 2.40 | 1.2000 ± 0.1528 |"));
  EXPECT_THAT(text, HasSubstr("| \"For\" time | 12.00 |"));
}

TEST(Speedup, ARateIsOfSeedsWithBothTimes) {
  Source source = three_seeds();
  std::erase_if(source.sweep.rows, [](const record::Row& row) {
    return row.at("point") == record::Cell(std::string("e1"));
  });
  const std::string text = markdown_of(source);
  // (10 + 14) / (4 + 6)
  EXPECT_THAT(text, HasSubstr("| \\[1-8-4-4\\] | 5.00 | 3.75 | 51.20 | 2.40 |"));
  EXPECT_THAT(text, HasSubstr("seeds 0, 2 only"));
}

TEST(Speedup, DeviationsAreThoseOfEqualSeeds) {
  Source source = three_seeds();
  for (record::Row& row : source.sweep.rows) {
    const std::string id = std::get<std::string>(row.at("point"));
    row["job"] = "j" + id;
    record::JobRecord job = testing::make_job("j" + id, "evaluate", "small.pth", {id});
    const float seed = static_cast<float>(std::get<int64_t>(row.at("seed")));
    job.arrays = {id.starts_with("e") ? flat_images(1 + seed, -1 - seed)
                                      : flat_images(1 + seed, -0.9f - seed)};
    source.sweep.jobs["j" + id] = job;
  }
  // 0.1 / rms of one image in two: medians 0.05, 0.025 and 0.01667.
  EXPECT_THAT(markdown_of(source), HasSubstr("| 256 | 0.0306 |"));
}

TEST(Speedup, DeviationsAreThoseOfTheSeedsWhoseImagesWereKept) {
  Source source = three_seeds();
  for (const std::string id : {"e1", "g1"}) {
    for (record::Row& row : source.sweep.rows) {
      if (row.at("point") == record::Cell(id)) row["job"] = "j" + id;
    }
    record::JobRecord job = testing::make_job("j" + id, "evaluate", "small.pth", {id});
    job.arrays = {id == "e1" ? flat_images(2, -2) : flat_images(2, -1.8f)};
    source.sweep.jobs["j" + id] = job;
  }
  EXPECT_THAT(markdown_of(source), HasSubstr("| 256 | 0.0500 | 0.0990 |"));
}

TEST(Speedup, OtherSettingsThanTheSeedAreNotAveraged) {
  Source source = three_seeds();
  source.sweep.rows[1]["chunk"] = int64_t{32};  // g2
  const std::string text = markdown_of(source);
  EXPECT_THAT(text, HasSubstr("point g2"));
  EXPECT_THAT(text, HasSubstr("seeds 0, 1 only"));
}

TEST(Speedup, NothingMeasuredGivesNoTable) {
  EXPECT_THAT(speedup_tables({}, nullptr).tables, IsEmpty());
}

}  // namespace
}  // namespace tarflow::analysis
