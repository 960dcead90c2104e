#include "analysis/best.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/page/page_summary.h"
#include "framework/core/error.h"
#include "framework/core/strategy.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// One job a strategy, seed 0 unless told.
struct Run {
  std::string id, strategy;
  double seconds, distance, cfg = 1;
};

Source source_of(const std::vector<Run>& runs) {
  std::vector<record::Row> rows;
  std::vector<record::JobRecord> jobs;
  for (const Run& run : runs) {
    const bool sequential = run.strategy == "For";
    record::Row row = testing::evaluate_row(
        run.id, "j" + run.id, run.strategy,
        sequential ? "blocks 1-0: sequential" : "block 1: gs; block 0: " + run.strategy,
        run.seconds);
    row["distance"] = run.distance;
    row["cfg"] = run.cfg;
    rows.push_back(row);
    record::JobRecord job =
        testing::make_job("j" + run.id, "evaluate", "small_model_4_64_2_2_0.05.pth", {run.id});
    Strategy strategy{run.strategy, std::vector<BlockPlan>(2)};
    if (!sequential) strategy.blocks[0] = published_plan(8, 4);
    job.job["settings"] = {{"strategy", to_json(strategy)}, {"cfg", run.cfg}, {"labels", nullptr}};
    job.job["points"][0]["settings"] = {{"self_denoising_lr", 0.5}, {"reference", "/data/x"}};
    jobs.push_back(std::move(job));
  }
  return testing::make_source("s", std::move(rows), std::move(jobs));
}

std::string chosen(const Choices& choices) {
  std::string text;
  for (const Choice& choice : choices.choices) text += choice.chosen.points.front().id() + " ";
  return text;
}

TEST(Best, IsTheFastestWithinTheShareOfFor) {
  const std::vector<Source> sources = {source_of(
      {{"p1", "For", 10, 1.0}, {"p2", "a", 5, 1.009}, {"p3", "b", 4, 1.02}, {"p4", "c", 8, 0.9}})};
  const std::vector<Point> points = points_of(sources);
  EXPECT_EQ(chosen(choose_best(points, {.within = 0.01})), "p2 ");
  EXPECT_EQ(chosen(choose_best(points, {.within = 0.03})), "p3 ");
  EXPECT_EQ(chosen(choose_best(points, {.within = 0})), "p4 ");
}

TEST(Best, ForIsTakenWhereItIsBest) {
  const std::vector<Source> sources = {source_of({{"p1", "For", 10, 1.0, 1},
                                                  {"p2", "a", 5, 1.0, 1},
                                                  {"p3", "For", 10, 0.8, 2},
                                                  {"p4", "a", 6, 0.8, 2},
                                                  {"p5", "For", 1, 3.0, 0}})};
  const std::vector<Point> points = points_of(sources);
  EXPECT_EQ(chosen(choose_best(points, {})), "p4 ");
  EXPECT_EQ(chosen(choose_best(points, {.each_setting = true})), "p5 p2 p4 ");
}

// As the answer does: a rate is at equal settings.
TEST(Best, IsAtTheSettingsOfForUnlikeAFasterOneElsewhere) {
  const std::vector<Source> sources = {source_of({{"p1", "For", 10, 1.0, 0},
                                                  {"p2", "a", 5, 1.0, 0},
                                                  {"p3", "For", 10, 1.1, 1},
                                                  {"p4", "a", 4, 0.9, 1}})};
  const std::vector<Point> points = points_of(sources);
  const Choices best = choose_best(points, {});
  EXPECT_EQ(chosen(best), "p2 ");
  EXPECT_THAT(sweep_of(best.choices, {}), HasSubstr("2.00 times as fast as For at cfg 0"));
  EXPECT_THAT(findings(points, measured_families(points)),
              ::testing::ElementsAre(HasSubstr("is a: 5 s, 2.00 times as fast")));
}

TEST(Best, WithoutADistanceOrForItIsSaidWhatToAdd) {
  Source source = source_of({{"p1", "For", 10, 1.0}, {"p2", "a", 5, 1.0}});
  for (record::Row& row : source.sweep.rows) {
    row.erase("distance");
    row.erase("distance_name");
  }
  const std::vector<Source> without = {source};
  const Choices none = choose_best(points_of(without), {});
  EXPECT_THAT(none.choices, IsEmpty());
  EXPECT_THAT(none.problems, ::testing::ElementsAre(HasSubstr("add `extractor` and `reference`")));

  const std::vector<Source> no_for = {source_of({{"p2", "a", 5, 1.0}})};
  EXPECT_THAT(choose_best(points_of(no_for), {}).problems,
              ::testing::ElementsAre(HasSubstr("For was not measured with a distance; add For")));

  const std::vector<Source> some = {source_of({{"p1", "For", 10, 1.0, 0}, {"p2", "a", 5, 1.0, 1}})};
  EXPECT_THAT(choose_best(points_of(some), {}).problems, IsEmpty());
  const Choices each = choose_best(points_of(some), {.each_setting = true});
  EXPECT_EQ(chosen(each), "p1 ");
  EXPECT_THAT(each.problems, ::testing::ElementsAre(HasSubstr("at cfg 1, self_denoising_lr 0")));
}

TEST(Best, OfTooFewImagesSaysSoInTheSweep) {
  Source source = source_of({{"p1", "For", 10, 1.0}, {"p2", "a", 5, 1.0}});
  for (record::Row& row : source.sweep.rows) row["distance_images"] = int64_t{8};
  const std::vector<Source> sources = {source};
  EXPECT_THAT(sweep_of(choose_best(points_of(sources), {}).choices, {}),
              HasSubstr("    # FEWER IMAGES (8) THAN FEATURES (96)"));
}

TEST(Best, TimesThatAreNotValidDoNotCount) {
  Source source = source_of({{"p1", "For", 10, 1.0}, {"p2", "a", 5, 1.0}, {"p3", "b", 8, 1.0}});
  source.sweep.rows[1]["exclusive"] = int64_t{0};
  const std::vector<Source> sources = {source};
  EXPECT_EQ(chosen(choose_best(points_of(sources), {})), "p3 ");
  source.sweep.rows[0]["interrupted"] = int64_t{1};
  const std::vector<Source> without_for = {source};
  const Choices none = choose_best(points_of(without_for), {});
  EXPECT_THAT(none.choices, IsEmpty());
  ASSERT_THAT(none.problems, SizeIs(1));
  EXPECT_THAT(none.problems[0],
              HasSubstr("demo: no time of For is valid: the job was interrupted and resumed"));
}

TEST(Best, IndicativeTimesCountIfTheyAreAskedFor) {
  Source source = source_of({{"p1", "For", 10, 1.0}, {"p2", "a", 5, 1.0}});
  for (record::Row& row : source.sweep.rows) {
    row["exclusive"] = int64_t{0};
    row["device"] = std::string("AMD EPYC, 2 threads");
    row["foreign_cpu_share"] = 0.34;
  }
  const std::vector<Source> sources = {source};
  const Choices none = choose_best(points_of(sources), {});
  EXPECT_THAT(none.choices, IsEmpty());
  ASSERT_THAT(none.problems, SizeIs(1));
  EXPECT_THAT(none.problems[0], HasSubstr("others used 34 % of the CPU. --indicative takes"));
  EXPECT_THAT(none.problems[0], HasSubstr("--force --only experiment=evaluate"));
  const BestOptions options{.indicative = true};
  const Choices best = choose_best(points_of(sources), options);
  EXPECT_EQ(chosen(best), "p2 ");
  const std::string sweep = sweep_of(best.choices, options);
  EXPECT_THAT(sweep, HasSubstr("5.00 s (indicative)"));
  EXPECT_THAT(sweep, HasSubstr("# INDICATIVE: others used 34 % of the CPU"));
  EXPECT_THAT(sweep, HasSubstr("2.00 times as fast"));
}

TEST(Best, StrategiesAreComparedOverTheSeedsThatBothHave) {
  Source source = source_of(
      {{"p1", "For", 10, 1.0}, {"p2", "a", 5, 1.005}, {"p3", "a", 5, 1.3}, {"p4", "b", 1, 1.0}});
  source.sweep.rows[2]["seed"] = int64_t{1};
  source.sweep.rows[2]["strategy_blocks"] = source.sweep.rows[1]["strategy_blocks"];
  source.sweep.rows[3]["seed"] = int64_t{2};
  const std::vector<Source> sources = {source};
  const Choices best = choose_best(points_of(sources), {});
  EXPECT_EQ(chosen(best), "p2 ");  // not b, which has no seed of For's
  const std::string sweep = sweep_of(best.choices, {});
  EXPECT_THAT(sweep, HasSubstr("5.00 s, FD(small) 1.0050\n"));
  EXPECT_THAT(sweep, HasSubstr("# all over seed 0, which both have\n"));
  EXPECT_THAT(sweep, HasSubstr("# not compared, as For was measured with other seeds: b\n"));
}

TEST(Best, DevicesAndTrialsAreNotMixed) {
  Source source = source_of({{"p1", "For", 10, 1.0}, {"p2", "a", 5, 1.0}, {"p3", "For", 3, 1.0}});
  source.sweep.rows[1]["device"] = source.sweep.rows[2]["device"] = std::string("gpu");
  source.sweep.rows[1]["smoke"] = int64_t{1};
  const std::vector<Source> sources = {source};
  const Choices choices = choose_best(points_of(sources), {});
  EXPECT_EQ(chosen(choices), "p1 p3 ");
  EXPECT_THAT(choices.problems, ::testing::ElementsAre(HasSubstr("trial run")));
}

TEST(Best, IsASweepWithAllSettings) {
  const std::vector<Source> sources = {
      source_of({{"p1", "For", 10, 1.0}, {"p2", "[1-8-4-4]", 5, 1.0}})};
  const BestOptions options;
  const std::string text = sweep_of(choose_best(points_of(sources), options).choices, options);
  EXPECT_THAT(text,
              HasSubstr("  \"m\":\n    checkpoint: \"/somewhere/small_model_4_64_2_2_0.05.pth\""));
  EXPECT_THAT(text, HasSubstr("        label: \"[1-8-4-4]\"\n        blocks:\n"
                              "          1: {segments: 8, max_iterations: 4, guess: z, clamp: 3.0, "
                              "stop: {\"published\":1e-06}}\n"
                              "          0: sequential\n"));
  EXPECT_THAT(text, HasSubstr("      self_denoising_lr: 0.5\n"));
  EXPECT_THAT(text, HasSubstr("      reference: \"/data/x\"\n"));
  EXPECT_THAT(text, Not(HasSubstr("labels")));
  EXPECT_THAT(text, HasSubstr("2.00 times as fast as For"));
  EXPECT_THAT(text, HasSubstr("no error was measured"));
}

TEST(Best, NeedsTheRecordedStrategyAndCheckpoint) {
  Source source = source_of({{"p1", "For", 10, 1.0}});
  source.sweep.jobs.at("jp1").job["model"].erase("checkpoint");
  const std::vector<Source> sources = {source};
  EXPECT_THROW(sweep_of(choose_best(points_of(sources), {}).choices, {}), Error);
}

TEST(Best, SharesAreFractionsOrPercent) {
  EXPECT_EQ(share_from("1%"), 0.01);
  EXPECT_EQ(share_from("0.5"), 0.5);
  for (const char* text : {"", "%", "x", "-1%", "1 %x", "nan", "inf"})
    EXPECT_THROW(share_from(text), Error) << text;
}

}  // namespace
}  // namespace tarflow::analysis
