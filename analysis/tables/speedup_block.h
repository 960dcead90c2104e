// Which measured points may be compared with each other, and their rates.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/data/timing.h"

namespace tarflow::analysis {

// Whether every block of the point's strategy is sequential.
bool is_sequential(const Point& point);

// The name each strategy is shown under, by model, name and description of its blocks: different
// strategies of one name get a number.
using StrategyNames = std::map<std::tuple<std::string, std::string, std::string>, std::string>;
StrategyNames strategy_names(const std::vector<Point>& points);
const std::string& strategy_name(const StrategyNames& names, const Point& point);

// One strategy at one setting: a point for each seed, in the order of seeds. A seed that was
// measured again is another row, so that no measurement hides another or counts as another seed.
struct SpeedupRow {
  std::string name;           // of the strategy
  std::vector<Point> points;  // not empty

  const Point& first() const { return points.front(); }
  bool over_seeds() const { return points.size() > 1; }
  // The mean over the points that have the column; nothing where none has it.
  std::optional<double> mean(const std::string& column) const;
  // The points whose times are valid, or all points where no time is.
  std::vector<const Point*> timed() const;
  // The mean of a time or speed over timed().
  std::optional<double> mean_time(const std::string& column) const;
  const Point* of_seed(const Point& other) const;  // nullptr where its seed is not here
};

// The best of its points.
Timing timing_of(const SpeedupRow& row);
// Why no time of the row is valid; "" where one is.
std::string invalid_timing(const SpeedupRow& row);

// Over the seeds of which neither time is worse than `worst`: the sum of the reference's total
// times over the sum of the row's. Nothing where there is no such seed.
std::optional<double> rate(const SpeedupRow& row, const SpeedupRow* reference,
                           Timing worst = Timing::kValid);

// Points that differ in nothing but strategy and seed.
struct SpeedupBlock {
  std::string model;             // told apart from other models of the same name
  std::vector<SpeedupRow> rows;  // sequential ones first, then by passes and name; not empty

  const Point& first() const { return rows.front().first(); }
  size_t points() const;
  std::vector<Point> all_points() const;
  // The first sequential row, preferably with a valid time; nullptr when there is none.
  const SpeedupRow* reference() const;
};

// "seed 0", "seeds 0, 1, 2", or "12 seeds" where there are many.
std::string seeds_text(const std::vector<Point>& points);
std::string seeds_text(const SpeedupBlock& block);

// `points`: those of experiment evaluate. One block for each model, checkpoint, device, compute
// type, number of images, cfg, attn_temp, self_denoising_lr, distance, labels and contents of
// extractor and reference; in that order.
std::vector<SpeedupBlock> speedup_blocks(const std::vector<Point>& points);

// "Times of 2 of 12 points are indicative: WHY. To measure again on a quiet machine: COMMAND"; ""
// where none is. `points`: those of experiment evaluate.
std::string indicative_times(const std::vector<Point>& points);

// Sequential first, then by passes and name: the order of rows in tables and grids.
void sort_strategies(std::vector<Point>& points, const StrategyNames& names);

}  // namespace tarflow::analysis
