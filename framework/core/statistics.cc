#include "framework/core/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace tarflow {

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(rank);
  const double fraction = rank - static_cast<double>(below);
  if (fraction == 0 || values[below] == values[below + 1]) return values[below];
  return values[below] + fraction * (values[below + 1] - values[below]);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

MeanError mean_error(std::span<const double> values) {
  if (values.size() < 2) throw std::invalid_argument("an error needs two values at least");
  const double n = static_cast<double>(values.size());
  MeanError result;
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.error = std::sqrt(squares / (n * (n - 1)));
  return result;
}

double jackknife_error(std::span<const double> values, std::span<const double> left_out,
                       double whole) {
  if (values.size() < 2 || values.size() != left_out.size())
    throw std::invalid_argument("a jackknife needs two groups at least, each with its samples");
  const double samples = std::accumulate(left_out.begin(), left_out.end(), 0.0);
  const double groups = static_cast<double>(values.size());
  double centre = groups * whole;  // the jackknife's estimate, its bias removed
  for (size_t g = 0; g < values.size(); ++g) centre -= (1 - left_out[g] / samples) * values[g];
  double variance = 0;
  for (size_t g = 0; g < values.size(); ++g) {
    const double h = samples / left_out[g];
    const double difference = h * whole - (h - 1) * values[g] - centre;
    variance += difference * difference / (h - 1);
  }
  return std::sqrt(variance / groups);
}

}  // namespace tarflow
