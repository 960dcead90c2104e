#include <gtest/gtest.h>

#include "framework/core/strategy.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

Strategy published(const std::vector<std::pair<int, int>>& blocks) {
  Strategy strategy;
  for (const auto& [segments, iterations] : blocks)
    strategy.blocks.push_back(published_plan(segments, iterations));
  return strategy;
}

TEST(StrategyNumbers, AreThoseOfThePublishedName) {
  const StrategyNumbers one = numbers_of(published({{8, 32}, {1, 10}, {1, 10}, {1, 10}}));
  EXPECT_EQ(one, (StrategyNumbers{"3", 8, 32, 10, {}, {}})) << "block 3 is sampled first";
  const StrategyNumbers two = numbers_of(published({{1, 9}, {8, 32}, {1, 9}, {8, 32}, {1, 9}}));
  EXPECT_EQ(two, (StrategyNumbers{"1/3", 8, 32, 9, {}, {}}));
  const StrategyNumbers unlike = numbers_of(published({{8, 32}, {1, 9}, {1, 9}, {4, 32}, {1, 9}}));
  EXPECT_EQ(unlike, (StrategyNumbers{"1/4", {}, 32, 9, {}, {}}));
}

TEST(StrategyNumbers, OfOneSegmentStandOutByTheirIterations) {
  EXPECT_EQ(numbers_of(published({{1, 32}, {1, 10}, {1, 10}})),
            (StrategyNumbers{"2", 1, 32, 10, {}, {}}));
  EXPECT_EQ(numbers_of(published({{1, 16}, {1, 16}, {1, 16}})),
            (StrategyNumbers{"", {}, {}, 16, {}, {}}))
      << "Jacobi-16";
}

TEST(StrategyNumbers, AreAbsentWhereAStrategyHasNone) {
  EXPECT_EQ(numbers_of(published({{0, 0}, {0, 0}, {0, 0}})), StrategyNumbers{}) << "For";
  EXPECT_EQ(numbers_of(published({{0, 0}, {1, 9}, {1, 9}})), StrategyNumbers{})
      << "a sequential block is no segment";
  EXPECT_EQ(numbers_of(published({{4, 9}, {8, 9}})), StrategyNumbers{}) << "no block is Jacobi";
}

TEST(StrategyNumbers, OfWindowsAreThoseThatAllBlocksHave) {
  Strategy strategy{"", std::vector<BlockPlan>(3, {Window{64, 0.05}})};
  EXPECT_EQ(numbers_of(strategy), (StrategyNumbers{"", {}, {}, {}, 64, 0.05}));
  std::get<Window>(strategy.blocks[1].method).width = 16;
  EXPECT_EQ(numbers_of(strategy), (StrategyNumbers{"", {}, {}, {}, {}, 0.05}));
  strategy.blocks[2] = published_plan(1, 9);
  EXPECT_EQ(numbers_of(strategy).tolerance, std::nullopt);
}

}  // namespace
}  // namespace tarflow
