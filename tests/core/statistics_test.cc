#include "framework/core/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace tarflow {
namespace {

using Values = std::vector<double>;

TEST(Statistics, MeanAndItsStandardError) {
  const MeanError result = mean_error(Values{1, 2, 3, 6});
  EXPECT_DOUBLE_EQ(result.mean, 3);
  EXPECT_DOUBLE_EQ(result.error, std::sqrt(14.0 / 12));
  EXPECT_EQ(mean_error(Values{2, 2}).error, 0);
  EXPECT_THROW(mean_error(Values{1}), std::invalid_argument);
}

// Without each of the samples 1, 2, 3 and 6: the jackknife of a mean is its standard error.
TEST(Statistics, TheJackknifeOfAMeanIsItsStandardError) {
  const Values without = {11.0 / 3, 10.0 / 3, 9.0 / 3, 6.0 / 3};
  EXPECT_NEAR(jackknife_error(without, Values{1, 1, 1, 1}, 3), std::sqrt(14.0 / 12), 1e-14);
}

// Groups {1, 2}, {3}, {6} by hand: h = 2, 4, 4; pseudo-values 3/2, 3, 6; their centre
// 3 * 3 - (1/2 * 9/2 + 3/4 * 3 + 3/4 * 2) = 3.
TEST(Statistics, GroupsOfDifferentSizesAreWeighed) {
  const double variance = (std::pow(1.5 - 3, 2) / 1 + 0.0 / 3 + std::pow(6.0 - 3, 2) / 3) / 3;
  EXPECT_NEAR(jackknife_error(Values{4.5, 3, 2}, Values{2, 1, 1}, 3), std::sqrt(variance), 1e-14);
}

TEST(Statistics, ListsThatDoNotFitAreRefused) {
  EXPECT_THROW(jackknife_error(Values{1}, Values{1}, 1), std::invalid_argument);
  EXPECT_THROW(jackknife_error(Values{1, 2}, Values{1}, 1), std::invalid_argument);
}

TEST(Quantile, InterpolatesBetweenRanks) {
  EXPECT_DOUBLE_EQ(quantile({3, 1, 2}, 0.5), 2);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 2, 3}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({0, 10, 20, 30, 40}, 0.99), 39.6);  // numpy.percentile(..., 99)
  EXPECT_DOUBLE_EQ(quantile({7}, 0.99), 7);
  EXPECT_TRUE(std::isinf(quantile({1, INFINITY, INFINITY}, 0.75)));
}

}  // namespace
}  // namespace tarflow
