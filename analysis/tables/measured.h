// Strategies at their settings, over seeds: what is chosen among.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/data/timing.h"
#include "analysis/tables/distances.h"

namespace tarflow::analysis {

// One strategy at one cfg and self_denoising_lr.
struct Measured {
  std::string strategy;
  std::optional<double> cfg, lr;
  std::vector<Point> points;  // in the order of seeds; one that was measured again is there twice
  bool sequential = false;
  // The mean over seeds; a seed counts once.
  std::optional<Estimate> distance;
  // The mean over seeds of the valid total times; nothing without one.
  std::optional<double> seconds;
  // The same of the total times as they were measured, valid or not; nothing of a smoke run.
  std::optional<double> indicative_seconds = {};
};

// The reference's total time over the strategy's, each the mean over the seeds that both have times
// for which are not worse than `worst`. Nothing where there is no such seed.
std::optional<double> rate(const Measured& measured, const Measured* reference,
                           Timing worst = Timing::kValid);

// What may be compared with each other: equal in all but strategy, cfg, self-denoising and seed.
struct MeasuredFamily {
  std::string title;  // the model, and what tells it from other families
  std::string distance_name, device;
  bool smoke = false;
  std::vector<Measured> measured;  // For first, then by passes; cfg and lr in order
};

// Of the points of experiment evaluate that have a distance; others are left out.
std::vector<MeasuredFamily> measured_families(const std::vector<Point>& points);
// Of all points of experiment evaluate: `distance` is nothing where one has none.
std::vector<MeasuredFamily> evaluated_families(const std::vector<Point>& points);

// The sequential one of the smallest distance; nullptr where none was measured.
const Measured* best_sequential(const MeasuredFamily& family);

// For (or another sequential strategy) at the same cfg and self_denoising_lr; nullptr when it was
// not measured.
const Measured* sequential_beside(const MeasuredFamily& family, const Measured& measured);

// What captions of plots say of a smoke run, after a space; "" of another.
std::string smoke_warning(bool smoke);

}  // namespace tarflow::analysis
