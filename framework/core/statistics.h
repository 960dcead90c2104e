// Means and how certain they are.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tarflow {

// Linear interpolation at rank q (n - 1) of the sorted values, as numpy does; of one value at
// least.
double quantile(std::vector<double> values, double q);

// The middle one of the sorted values, or half the sum of the middle two; of one value at least.
double median(std::vector<double> values);

struct MeanError {
  double mean = 0;
  double error = 0;  // standard error of the mean: sqrt(sum (x - mean)^2 / (n (n - 1)))
};

// Of two values at least; throws std::invalid_argument below.
MeanError mean_error(std::span<const double> values);

// Standard error of a statistic of n samples in groups. values[j] is the statistic without group j
// and left_out[j] that group's samples, less than n, which is their sum; `whole` is the statistic
// of all. Groups may differ in size: Busing, Meijer and van der Leeden 1999, "Delete-m jackknife
// for unequal m"; of G equal groups it is sqrt((G - 1) / G sum (value - mean)^2). Throws
// std::invalid_argument for fewer than two groups or lists of different lengths.
double jackknife_error(std::span<const double> values, std::span<const double> left_out,
                       double whole);

}  // namespace tarflow
