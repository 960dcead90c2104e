#include "analysis/data/deviation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/statistics.h"

namespace tarflow::analysis {
namespace {

bool finite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

double sum_of_squares(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

size_t values_per_image(const record::Array& images, const record::Array& reference) {
  const auto same_image = [&] {
    return images.shape.size() == 4 && reference.shape.size() == 4 &&
           std::equal(images.shape.begin() + 1, images.shape.end(), reference.shape.begin() + 1);
  };
  if (!same_image()) {
    throw Error(fmt::format("images of shape ({}) cannot be compared with ({})",
                            fmt::join(images.shape, ","), fmt::join(reference.shape, ",")));
  }
  return static_cast<size_t>(images.shape[1] * images.shape[2] * images.shape[3]);
}

}  // namespace

Deviation deviation(const record::Array& images, const record::Array& reference) {
  const size_t width = values_per_image(images, reference);
  const size_t count = static_cast<size_t>(std::min(images.shape[0], reference.shape[0]));
  const std::vector<double> x = record::to_doubles(images), ref = record::to_doubles(reference);
  const std::vector<double> zeros(width, 0.0);
  Deviation result;
  std::vector<double> distances;
  double power = 0;  // of the reference images
  for (size_t i = 0; i < count; ++i) {
    const std::span<const double> image(x.data() + i * width, width);
    const std::span<const double> exact(ref.data() + i * width, width);
    if (!finite(exact)) continue;
    power += sum_of_squares(exact, zeros);
    if (finite(image)) {
      distances.push_back(std::sqrt(sum_of_squares(image, exact) / static_cast<double>(width)));
    } else {
      distances.push_back(std::numeric_limits<double>::infinity());
      ++result.nonfinite;
    }
  }
  if (distances.empty() || power == 0)
    throw Error("the reference has no finite images that are not zero");
  const double rms = std::sqrt(power / static_cast<double>(width * distances.size()));
  for (double& distance : distances) distance /= rms;
  result.images = distances.size();
  result.median = quantile(distances, 0.5);
  result.p99 = quantile(std::move(distances), 0.99);
  return result;
}

}  // namespace tarflow::analysis
