#include "analysis/page/page_summary.h"

#include <gmock/gmock.h>

#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> summary(const Source& source) {
  const std::vector<Source> sources = {source};
  const std::vector<Point> points = points_of(sources);
  return plain_summary(points, measured_families(points));
}

Source ranked(const std::vector<double>& crm) {
  record::JobRecord job = testing::make_job("c1", "igm_crm", "small.pth", {"p1"});
  const std::vector<double> ones(crm.size(), 1);
  job.arrays = testing::metric_arrays("2", ones, ones, crm);
  return testing::make_source("demo", {testing::igm_crm_row("p1", "c1", "demo")}, {job});
}

TEST(PageSummary, NamesAllToughBlocksTheToughestFirst) {
  EXPECT_THAT(summary(ranked({5, 1, 1, 1, 1, 1, 10})),
              Contains(HasSubstr("demo: block 6 (50 %), block 0 (25 %) are tough")));
  EXPECT_THAT(summary(ranked({1, 1, 1, 1, 6})),
              Contains(HasSubstr("demo: block 4 (60 %) is tough")));
  EXPECT_THAT(summary(ranked({1, 1, 1})), Contains(HasSubstr("demo: no block is tough")));
}

// Three seeds of For and of a strategy whose distance is larger by `difference` on average,
// scattered by `step`.
Source compared(double difference, double step) {
  std::vector<record::Row> rows;
  for (const int64_t seed : {0, 1, 2}) {
    const std::string id = std::to_string(seed);
    rows.push_back(testing::evaluate_row("e" + id, "j", "For", "blocks 1-0: sequential", 10));
    rows.push_back(testing::evaluate_row("g" + id, "j", "A", "blocks 1-0: jacobi 4 guess z", 4));
    rows[rows.size() - 1]["seed"] = rows[rows.size() - 2]["seed"] = seed;
    rows[rows.size() - 2]["distance"] = 10.0;
    rows[rows.size() - 1]["distance"] = 10.0 + difference + step * static_cast<double>(seed - 1);
  }
  return testing::make_source("demo", std::move(rows), {});
}

TEST(PageSummary, ADifferenceWithinItsErrorIsNotMeasurable) {
  // The standard error is 0.03 / sqrt(3).
  EXPECT_THAT(summary(compared(0.01, 0.03)),
              Contains(HasSubstr("2.50 times as fast, distance 10.0100 ± 0.0173. No measurable "
                                 "difference from For (+0.0100 ± 0.0173).")));
  EXPECT_THAT(summary(compared(0.05, 0.03)),
              Contains(HasSubstr("Measurably worse than For (+0.0500 ± 0.0173).")));
  EXPECT_THAT(summary(compared(-0.05, 0.03)),
              Contains(HasSubstr("Measurably better than For (-0.0500 ± 0.0173).")));
}

TEST(PageSummary, WithoutErrorsNothingIsSaidToBeMeasurable) {
  Source source = compared(0.05, 0.03);
  source.sweep.rows.resize(2);
  EXPECT_THAT(summary(source),
              Contains(AllOf(HasSubstr("its error is not known"), Not(HasSubstr("easurabl")))));
}

// For of seed 0; A is within 1 % on that seed, and beyond it on the mean of its own seeds.
TEST(PageSummary, WhatIsWithinOnePercentIsToldOnTheSeedsThatBothHave) {
  Source source = compared(0.1, 0.1);  // A: 10.0, 10.1, 10.2
  std::erase_if(source.sweep.rows, [](const record::Row& row) {
    return row.at("strategy") == record::Cell(std::string("For")) &&
           row.at("seed") != record::Cell(int64_t{0});
  });
  for (record::Row& row : source.sweep.rows) {
    if (row["seed"] != record::Cell(int64_t{0})) row["distance"] = 12.0;
  }
  EXPECT_THAT(summary(source),
              Contains(HasSubstr("within 1 % of that distance is A: 4 s, 2.50 times as fast, "
                                 "distance 10.0000 over seed 0, which both have (For: 10.0000)")));
  for (record::Row& row : source.sweep.rows) {  // the same the other way round
    if (row["strategy"] == record::Cell(std::string("A")))
      row["distance"] = row["seed"] == record::Cell(int64_t{0}) ? 10.5 : 5.0;
  }
  EXPECT_THAT(summary(source), Contains(HasSubstr("No other strategy is within 1 % of that "
                                                  "distance. The nearest is A: 10.5000 over")));
}

TEST(PageSummary, WithoutACommonSeedNothingIsCompared) {
  Source source = compared(0, 0);
  std::erase_if(source.sweep.rows, [](const record::Row& row) {
    const bool sequential = row.at("strategy") == record::Cell(std::string("For"));
    return sequential != (row.at("seed") == record::Cell(int64_t{0}));
  });
  EXPECT_THAT(summary(source),
              Contains(AllOf(HasSubstr("Not compared, as For was measured with other seeds (seed "
                                       "0): A."),
                             Not(HasSubstr("fastest")))));
}

TEST(PageSummary, TheGlossaryNamesSettingsAsSweepsDo) {
  std::vector<std::string> words;
  for (const auto& [word, meaning] : glossary()) words.push_back(word);
  EXPECT_THAT(words, AllOf(Contains("self_denoising_lr"), Contains("attn_temp"), Contains("CRM"),
                           Contains("CRM %"), Not(Contains("lr"))));
}

}  // namespace
}  // namespace tarflow::analysis
