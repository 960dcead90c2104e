#include "analysis/tables/benchmark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/strategy.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::HasSubstr;

constexpr ModelShape kAfhq{256, 8, 768, 8, 8, 3, 0.07};

record::Row benchmark_row(const std::string& id, const Strategy& strategy, int64_t batch,
                          const std::string& device) {
  return {{"point", id},
          {"job", std::string("j1")},
          {"experiment", std::string("benchmark")},
          {"model", std::string("afhq")},
          {"device", device},
          {"compute", std::string("bfloat16")},
          {"strategy", strategy.name},
          {"strategy_blocks", describe(strategy)},
          {"cfg", 3.4},
          {"batch", batch},
          {"exclusive", int64_t{1}},
          {"smoke", int64_t{0}},
          {"seconds", 8.0},
          {"seconds_min", 7.9},
          {"seconds_max", 8.1},
          {"floor_seconds", 5.0},
          {"achieved_flops", 4e14},
          {"achieved_bandwidth", 3e12},
          {"gemm_rate", 7.0e14},
          {"attention_rate", 3.3e14},
          {"segment_attention_rate", 1.9e14},
          {"copy_rate", 4.1e12},
          {"own_share", 0.015},
          {"peak_memory", 9e9}};
}

Source source_of(std::vector<record::Row> rows) {
  record::JobRecord job = testing::make_job("j1", "benchmark", "", {});
  job.job["model"]["shape"] = to_json(kAfhq);
  return testing::make_source("times", std::move(rows), {job});
}

Strategy sequential() { return {"For", std::vector<BlockPlan>(8)}; }

TEST(BenchmarkTables, PublishedSecondsStandBesideTheirLikeOnly) {
  const Published published = testing::published_figures();
  const Strategy theirs = find_figures(published, kAfhq)->strategy;
  Strategy shorter = theirs;
  shorter.blocks[0] = published_plan(8, 31);
  record::Row unguided = benchmark_row("p6", sequential(), 128, "NVIDIA H200");
  unguided["cfg"] = 0.0;
  const std::vector<Source> sources = {
      source_of({benchmark_row("p1", sequential(), 128, "NVIDIA H200"),
                 benchmark_row("p2", theirs, 128, "NVIDIA H200"),
                 benchmark_row("p3", sequential(), 64, "NVIDIA H200"),
                 benchmark_row("p4", sequential(), 128, "NVIDIA A100"),
                 benchmark_row("p5", shorter, 128, "NVIDIA H200"), unguided})};
  const std::vector<Point> points = points_of(sources);
  ASSERT_EQ(points.size(), 6u);
  EXPECT_EQ(published_seconds(points[0], published), 456.2);
  EXPECT_EQ(published_seconds(points[1], published), 15.38);
  for (size_t i = 2; i < 6; ++i)
    EXPECT_EQ(published_seconds(points[i], published), std::nullopt) << points[i].id();
}

TEST(BenchmarkTables, ShowTimesRatesAndRatio) {
  const Published published = testing::published_figures();
  const std::vector<Source> sources = {
      source_of({benchmark_row("p1", sequential(), 128, "NVIDIA H200")})};
  const TableSet set = benchmark_tables(points_of(sources), &published);
  ASSERT_EQ(set.tables.size(), 1u) << "no shares without a profile";
  EXPECT_EQ(set.shown, 1u);
  const Table& table = set.tables[0];
  EXPECT_EQ(table.title, "Times: NVIDIA H200, bfloat16");
  EXPECT_THAT(table.introduction, HasSubstr("matrix products 700 TFLOP/s"));
  std::vector<std::string> cells;
  for (const Cell& cell : table.rows.at(0)) cells.push_back(cell.text);
  EXPECT_EQ(cells, (std::vector<std::string>{"afhq", "For", "128", "8.00", "±1.2 %", "456.20",
                                             "57.0", "1.60", "400.0", "3000", "1.5", "9.00"}));
  EXPECT_THAT(table.footnotes.back(), HasSubstr("seconds for 128 images on one NVIDIA H200"));
}

TEST(BenchmarkTables, SharesAreInATableOfTheirOwn) {
  record::Row row = benchmark_row("p1", sequential(), 128, "NVIDIA H200");
  row["share_gemm"] = 0.625;
  const std::vector<Source> sources = {source_of({row})};
  const TableSet set = benchmark_tables(points_of(sources), nullptr);
  ASSERT_EQ(set.tables.size(), 2u);
  EXPECT_EQ(set.tables[1].rows.at(0).at(3).text, "62.5");
  EXPECT_EQ(set.tables[1].rows.at(0).at(4).text, kNoValue);
}

}  // namespace
}  // namespace tarflow::analysis
