// Which measured points may be compared with each other, and their rates.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "analysis/points.h"

namespace tarflow::analysis {

// Whether every block of the point's strategy is sequential.
bool is_sequential(const Point& point);

// Why the point's times are not those of an undisturbed run; "" when they are.
std::string invalid_timing(const Point& point);

// The reference's total time over the point's. Nothing where one is missing or not valid.
std::optional<double> rate(const Point& point, const Point* reference);

// The name each strategy is shown under, by model, name and description of its blocks: different
// strategies of one name get a number.
using StrategyNames = std::map<std::tuple<std::string, std::string, std::string>, std::string>;
StrategyNames strategy_names(const std::vector<Point>& points);
const std::string& strategy_name(const StrategyNames& names, const Point& point);

// Points that differ in nothing but the strategy.
struct SpeedupBlock {
  std::string model;               // told apart from other models of the same name
  std::vector<Point> points;       // sequential ones first, then by passes and name; not empty
  std::vector<std::string> names;  // of the points' strategies

  // The first sequential point, preferably with valid timing; nullptr when there is none.
  const Point* reference() const;
};

// `points`: those of experiment evaluate. One block a model, checkpoint, device, compute type,
// number of images, cfg, attention temperature, self-denoising rate, seed, distance, labels and
// contents of extractor and reference; in that order.
std::vector<SpeedupBlock> speedup_blocks(const std::vector<Point>& points);

// Sequential first, then by passes and name: the order of rows in tables and grids.
void sort_strategies(std::vector<Point>& points, const StrategyNames& names);

}  // namespace tarflow::analysis
