// The choice of methods against all choices there are.
#include "framework/core/choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "framework/core/error.h"

#ifdef TARFLOW_HAVE_RAPIDCHECK
#include <rapidcheck.h>
#endif

namespace tarflow {
namespace {

using Blocks = std::vector<std::vector<Option>>;

Option sum_of(const Blocks& blocks, const std::vector<size_t>& chosen) {
  Option sum;
  for (size_t b = 0; b < blocks.size(); ++b) {
    sum.seconds += blocks[b].at(chosen[b]).seconds;
    sum.error += blocks[b].at(chosen[b]).error;
  }
  return sum;
}

// The best of all choices; infinite where none is within the budget.
Option best_of_all(const Blocks& blocks, double budget) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Option best{kInfinity, kInfinity};
  std::vector<size_t> chosen(blocks.size(), 0);
  while (true) {
    const Option sum = sum_of(blocks, chosen);
    if (sum.error <= budget &&
        (sum.seconds < best.seconds || (sum.seconds == best.seconds && sum.error < best.error)))
      best = sum;
    size_t block = 0;
    while (block < blocks.size() && ++chosen[block] == blocks[block].size()) chosen[block++] = 0;
    if (block == blocks.size()) return best;
  }
}

// Exact, then three methods of an error and a time each: costs as of a model whose last block is
// hard.
const Blocks kTable = {{{8, 0}, {4, 1}, {2, 4}, {1, 16}},
                       {{8, 0}, {6, 1}, {5, 4}, {4, 16}},
                       {{8, 0}, {1, 1}, {0.5, 4}, {0.25, 16}}};

TEST(Choice, IsTheKnownOptimum) {
  EXPECT_EQ(fastest_within(kTable, 0), (std::vector<size_t>{0, 0, 0}));
  EXPECT_EQ(fastest_within(kTable, 1), (std::vector<size_t>{0, 0, 1}));
  EXPECT_EQ(fastest_within(kTable, 2), (std::vector<size_t>{1, 0, 1}));
  EXPECT_EQ(fastest_within(kTable, 3), (std::vector<size_t>{1, 1, 1}));
  EXPECT_EQ(fastest_within(kTable, 6), (std::vector<size_t>{2, 1, 1}));
  EXPECT_EQ(fastest_within(kTable, 1e9), (std::vector<size_t>{3, 3, 3}));
}

TEST(Choice, OfNoBlocksIsEmpty) { EXPECT_TRUE(fastest_within({}, 1).empty()); }

TEST(Choice, TakesTheSmallerErrorOfEqualTimes) {
  EXPECT_EQ(fastest_within({{{2, 3}, {2, 1}, {2, 2}}}, 5), (std::vector<size_t>{1}));
}

TEST(Choice, RefusesWhatIsNoNumber) {
  const double nan = std::nan("");
  for (const Blocks& blocks : {Blocks{{{nan, 0}}}, Blocks{{{1, nan}}}, Blocks{{{-1, 0}}},
                               Blocks{{{1, -1}}}, Blocks{{{1, 0}}, {}}})
    EXPECT_THROW(fastest_within(blocks, 1), Error);
  for (const double budget : {nan, -1.0, std::numeric_limits<double>::infinity()})
    EXPECT_THROW(fastest_within(kTable, budget), Error) << budget;
  EXPECT_THROW(fastest_within({{{1, 2}}, {{1, 0}}}, 1), Error) << "nothing is within the budget";
}

TEST(Choice, UnbeatenAreFasterOrNearer) {
  EXPECT_EQ(unbeaten({{3, 0}, {1, 5}, {2, 5}, {2, 2}, {4, 1}}), (std::vector<size_t>{1, 3, 0}));
  EXPECT_TRUE(unbeaten({}).empty());
}

#ifdef TARFLOW_HAVE_RAPIDCHECK

TEST(Choice, IsTheBestOfAll) {
  EXPECT_TRUE(rc::check([] {
    // Small whole numbers give ties and exact sums.
    const auto option =
        rc::gen::map(rc::gen::pair(rc::gen::inRange(0, 12), rc::gen::inRange(0, 12)),
                     [](const std::pair<int, int>& both) {
                       return Option{both.first * 1.0, both.second * 1.0};
                     });
    Blocks blocks(*rc::gen::inRange<size_t>(1, 5));
    for (std::vector<Option>& options : blocks) {
      options = *rc::gen::container<std::vector<Option>>(*rc::gen::inRange<size_t>(1, 6), option);
    }
    const double budget = *rc::gen::inRange(0, 30);
    const Option best = best_of_all(blocks, budget);
    if (std::isinf(best.seconds)) {
      RC_ASSERT_THROWS_AS(fastest_within(blocks, budget), Error);
      return;
    }
    const Option found = sum_of(blocks, fastest_within(blocks, budget));
    RC_ASSERT(found.seconds == best.seconds);
    RC_ASSERT(found.error == best.error);
  }));
}

#else

TEST(Choice, IsTheBestOfAll) { GTEST_SKIP() << "RapidCheck is not installed"; }

#endif

}  // namespace
}  // namespace tarflow
