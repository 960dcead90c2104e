// Distances with what is known of their errors: over seeds where there are three, else of each seed
// by the jackknife; and the differences of strategies on the same noise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

inline constexpr size_t kFewestSeeds = 3;  // for an error over seeds

struct Estimate {
  double value = 0;
  std::optional<double> error = {};  // standard error
  std::string unknown = {};          // why there is no error
};

// The distance of a point with its jackknife error; nothing without a distance.
std::optional<Estimate> distance_of(const Point& point);

// The mean over points of different seeds; nothing where none has a distance. Its standard error is
// that over seeds where there are kFewestSeeds, of two seeds that of their jackknife errors.
std::optional<Estimate> mean_distance(const std::vector<Point>& points);

// distance(point) - distance(reference) of two runs on the same noise, the error from leaving the
// same group of images out of both. Nothing without both distances.
std::optional<Estimate> difference_of(const Point& point, const Point& reference);

// The same of points of several seeds, each beside the reference of its seed; as mean_distance().
// Nothing where no seed has both.
std::optional<Estimate> mean_difference(const std::vector<Point>& points,
                                        const std::vector<Point>& reference);

// "1.2500 ± 0.0123", without the error when it is not known.
std::string estimate_text(const Estimate& estimate, int decimals);

// The same with its numbers, noted where there is no error.
Cell estimate_cell(const Estimate& estimate, int decimals);

// "FEWER IMAGES (128) THAN FEATURES (2,048): ..." where that is so, else "".
std::string too_few_images(const Point& point);

// `points`: those of experiment evaluate. One table for points that differ in nothing but strategy,
// guidance, self-denoising and seed; points without a distance are in none.
std::vector<Table> distance_tables(const std::vector<Point>& points);

}  // namespace tarflow::analysis
