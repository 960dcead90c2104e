#include "analysis/tables/iterations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "analysis/show/markdown.h"
#include "framework/core/strategy.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::HasSubstr;

constexpr ModelShape kShape{32, 4, 128, 8, 2, 10, 0.05};  // 64 tokens

Strategy with(const std::string& name, const BlockPlan& first, const BlockPlan& others) {
  Strategy strategy{name, std::vector<BlockPlan>(8, others)};
  strategy.blocks[0] = first;
  return strategy;
}

Strategy sejd() {
  return with("SeJD", {Sequential{}}, {Jacobi{{63, Guess::kZ, 0, Stop{Norm::kMaxAbs, 0.5}}}});
}

// A job of two chunks: block b took `first[b]` and `second[b]` iterations.
Source source_of(const Strategy& strategy, const std::vector<int64_t>& first,
                 const std::vector<int64_t>& second) {
  record::JobRecord job = testing::make_job("j", "evaluate", "m.pth", {"p0", "p1"});
  job.job["settings"]["strategy"] = to_json(strategy);
  job.job["model"]["shape"] = to_json(kShape);
  std::vector<int64_t> all = first;
  all.insert(all.end(), second.begin(), second.end());
  job.arrays.push_back(record::make_array("sampling/iterations", {2, 8}, all, "", ""));
  return testing::make_source(
      "s",
      {testing::evaluate_row("p0", "j", strategy.name, describe(strategy), 1),
       testing::evaluate_row("p1", "j", strategy.name, describe(strategy), 1)},
      {job});
}

std::string text_of(const std::vector<Source>& sources) {
  const Published published = testing::published_figures();
  const TableSet tables = iteration_tables(points_of(sources), &published);
  EXPECT_TRUE(tables.left_out.empty());
  std::string text;
  for (const Table& table : tables.tables) text += render_markdown(table);
  return text;
}

TEST(Iterations, StandBesideThoseOfTheirPaper) {
  const std::vector<Source> sources = {
      source_of(sejd(), {1, 2, 3, 4, 5, 6, 7, 63}, {2, 2, 3, 4, 5, 6, 8, 63})};
  const std::string text = text_of(sources);
  EXPECT_THAT(text, HasSubstr("Iterations of demo"));
  EXPECT_THAT(text, HasSubstr("| SeJD | 1 | 63.0 | 7.5 | 6.0 | 5.0 | 4.0 | 3.0 | 2.0 | 1.5 |"))
      << "once a job, in sampling order, a mean over chunks";
  EXPECT_THAT(text, HasSubstr("SeJD on AFHQ (arXiv:2505.24791)"));
  EXPECT_THAT(text, HasSubstr("| 6.6 | 6.0 | 5.2 | 5.0 | 5.9 | 4.5 | 4.0 |"));
}

// Rows of SeJD and For at two cfg, in an order of their own.
TEST(Iterations, StandInTheOrderOfOtherTables) {
  Source all;
  for (const auto& [id, name, cfg] : std::vector<std::tuple<std::string, std::string, double>>{
           {"a", "SeJD", 1}, {"b", "SeJD", 0}, {"c", "For", 1}, {"d", "For", 0}}) {
    const bool sequential = name == "For";
    const BlockPlan plan{Sequential{}};
    Source one = source_of(sequential ? with("For", plan, plan) : sejd(),
                           std::vector<int64_t>(8, 4), std::vector<int64_t>(8, 4));
    record::Row row = one.sweep.rows.front();
    row["point"] = id;
    row["job"] = "j" + id;
    row["cfg"] = cfg;
    row["block_passes"] = sequential ? 8.0 : 5.0;
    all.sweep.rows.push_back(row);
    all.sweep.jobs["j" + id] = one.sweep.jobs.at("j");
  }
  all.sweep.columns = testing::columns_of(all.sweep.rows);
  const std::string text = text_of({all});
  const std::vector<size_t> places = {text.find("| For | 0 |"), text.find("| SeJD | 0 |"),
                                      text.find("| For | 1 |"), text.find("| SeJD | 1 |")};
  EXPECT_LT(places.back(), text.size());
  EXPECT_TRUE(std::is_sorted(places.begin(), places.end())) << text;
}

TEST(Iterations, AreThoseOfASegment) {
  const Iterations stop{32, Guess::kZ, 0, Stop{Norm::kRelativeMse, 1e-3}};
  const BlockPlan two{Segments{stop, SegmentLength{32}}}, eight{Segments{stop, SegmentCount{8}}};
  const std::vector<Source> sources = {source_of(
      with("mine", eight, two), {2, 4, 6, 8, 10, 12, 14, 24}, {2, 4, 6, 8, 10, 12, 14, 24})};
  const std::string text = text_of(sources);
  EXPECT_THAT(text, HasSubstr("| mine | 1 | 3.0 | 7.0 | 6.0 | 5.0 | 4.0 | 3.0 | 2.0 | 1.0 |"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("arXiv")));
}

TEST(Iterations, OfAWindowAreItsEvaluations) {
  const BlockPlan window{Window{16, 0.03, WindowGuess::kUp}};
  const std::vector<Source> sources = {source_of(
      with("Window", window, window), {1, 2, 3, 4, 5, 6, 7, 9}, {1, 2, 3, 4, 5, 6, 7, 8})};
  EXPECT_THAT(text_of(sources),
              HasSubstr("| Window | 1 | 8.5 | 7.0 | 6.0 | 5.0 | 4.0 | 3.0 | 2.0 | 1.0 |"));
}

TEST(Iterations, HaveNoTableWherePublishedStopsAloneAct) {
  const std::vector<int64_t> any(8, 4);
  EXPECT_EQ(text_of({source_of(with("x", published_plan(8, 4), published_plan(1, 4)), any, any)}),
            "");
}

TEST(Iterations, OfARecordWithoutThemAreLeftOut) {
  Source source = source_of(sejd(), std::vector<int64_t>(8, 4), std::vector<int64_t>(8, 4));
  source.sweep.jobs.at("j").arrays.clear();
  EXPECT_EQ(text_of({source}), "");
}

}  // namespace
}  // namespace tarflow::analysis
