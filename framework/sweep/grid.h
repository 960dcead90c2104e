// From an experiment's entry in a sweep file to its points.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "framework/sweep/fields.h"
#include "framework/sweep/sweep.h"

namespace tarflow::sweep {

inline constexpr size_t kMaxPoints = 200'000;  // of a sweep

// What is carried from one experiment of the file to the next.
struct Expansion {
  std::vector<Point> points;
  std::unordered_map<std::string, size_t> by_id;  // id -> index in points
  std::vector<size_t> owners;                     // of each point: index in `entries`
  std::vector<Mark> entries;                      // where each experiment stands
  // Experiment, model and name of a strategy -> its blocks and where it stands.
  std::map<std::string, std::pair<std::string, Mark>> strategies;
  std::map<std::string, bool> defaults_used;  // key of `defaults:` -> some experiment has it
};

// Adds the points of one experiment in row-major order of its `grid:`. `settings` is what stands
// below the experiment's name; `defaults` may be nullptr. Everything wrong is reported and no point
// is added then.
void expand_experiment(const ExperimentSchema& schema, const Entry& settings, const Node* defaults,
                       const Surroundings& surroundings, Report& report, Expansion& expansion);

}  // namespace tarflow::sweep
