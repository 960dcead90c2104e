// Which methods a tuning tries.
#include "experiments/worker/tuning_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace tarflow::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

SearchSpace block_above_mean() {
  return {.tokens = 64,
          .guided = false,
          .linear = true,
          .above_mean = true,
          .deviation = 0.03,
          .sequential_seconds = 1};
}

// Windows take as many seconds as they have tokens, over 100; what is narrower than `finite` gives
// no finite output.
std::vector<Trial> searched(const SearchSpace& space, int finite) {
  return search(space, [&](const BlockPlan& plan) -> std::optional<Trial> {
    Trial trial;
    trial.plan = plan;
    const Window* const window = std::get_if<Window>(&plan.method);
    trial.seconds = window ? window->width / 100.0 : 2;
    trial.change = window && window->width < finite ? kNaN : 0.01;
    return trial;
  });
}

// Of the windows that were tried with more than one tolerance.
std::set<int> widths_with_tolerances(const std::vector<Trial>& trials) {
  std::map<int, std::set<double>> tolerances;
  for (const Trial& trial : trials) {
    if (const Window* const window = std::get_if<Window>(&trial.plan.method))
      tolerances[window->width].insert(window->tolerance);
  }
  std::set<int> widths;
  for (const auto& [width, values] : tolerances) {
    if (values.size() > 1) widths.insert(width);
  }
  return widths;
}

TEST(TuningSearch, TolerancesAreTriedAtTheFastestWidth) {
  EXPECT_THAT(widths_with_tolerances(searched(block_above_mean(), 0)), ::testing::ElementsAre(8));
}

TEST(TuningSearch, AWidthWithoutFiniteOutputsIsNotTheFastest) {
  EXPECT_THAT(widths_with_tolerances(searched(block_above_mean(), 16)), ::testing::ElementsAre(16));
  // Where no width has them, the fastest is as good as any.
  EXPECT_THAT(widths_with_tolerances(searched(block_above_mean(), 1000)), ::testing::ElementsAre(8));
}

}  // namespace
}  // namespace tarflow::experiments
