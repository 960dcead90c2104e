// Strategies at their settings, over seeds: what is chosen among, and the rule by which a strategy
// is compared with For. Rate, ratio of distances and difference are over the seeds that both have.
// Without such a seed there is no comparison, and it is said why. Means that are shown say their
// seeds where these differ between rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/data/timing.h"
#include "analysis/tables/distances.h"

namespace tarflow::analysis {

// A distance is as good as For's up to this share above it.
inline constexpr double kWithin = 0.01;

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

// The strategy's distance over the reference's, each the mean over the seeds of which both have a
// distance. Nothing where there is no such seed.
std::optional<double> distance_ratio(const std::vector<Point>& points,
                                     const std::vector<Point>& reference);
std::optional<double> distance_ratio(const Measured& measured, const Measured* reference);

// Those of the points whose seed is also among `reference`.
std::vector<Point> common_points(const std::vector<Point>& points,
                                 const std::vector<Point>& reference);
// The strategy over the seeds that `other` has too; `points` is empty where there is none.
Measured over_common_seeds(const Measured& measured, const Measured& other);

bool same_seeds(const std::vector<Point>& points, const std::vector<Point>& others);
// "seed 0, which both have": what a comparison is over; "" where the seeds are the same or none is
// common.
std::string common_seeds_text(const std::vector<Point>& points,
                              const std::vector<Point>& reference);
// "For was not measured with seed 2": why there is no comparison; "" where a seed is common.
std::string no_common_seed(const std::vector<Point>& points, const std::vector<Point>& reference);
// "A, B": those without a seed in common with `reference`; "" where there are none.
std::string without_common_seed(const std::vector<const Measured*>& others,
                                const Measured& reference);

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

// For (or another sequential strategy) at these settings; nullptr when it was not measured.
const Measured* sequential_at(const MeasuredFamily& family, std::optional<double> cfg,
                              std::optional<double> lr);
// For (or another sequential strategy) at the same cfg and self_denoising_lr; nullptr when it was
// not measured.
const Measured* sequential_beside(const MeasuredFamily& family, const Measured& measured);

// "cfg 1, self_denoising_lr 0".
std::string cfg_and_lr_text(const Measured& measured);

// The strategies at the settings of `reference` that are not sequential.
std::vector<const Measured*> rivals(const MeasuredFamily& family, const Measured& reference);

// What comes off best beside For, of strategies at its settings.
struct Fastest {
  size_t close = 0;                    // strategies whose distance is within the share of For's
  const Measured* strategy = nullptr;  // the fastest of these; nullptr where none has a rate
  double rate = 0;                     // its rate
  size_t without_valid_time = 0;       // strategies as close whose times are only indicative
};
// The one rule by which the answer, the page and `analyze best` choose: of the `others` whose
// distance is at most (1 + within) times the reference's, the one of the largest rate. A rate of
// valid times counts before one of indicative times, which count if `worst` is kIndicative.
Fastest fastest_within(const std::vector<const Measured*>& others, const Measured& reference,
                       double within, Timing worst);

// too_few_images() of the first point with a distance for which it holds; "" where it holds of
// none.
std::string too_few_images(const MeasuredFamily& family);

// What captions of plots say of a smoke run, after a space; "" of another.
std::string smoke_warning(bool smoke);

}  // namespace tarflow::analysis
