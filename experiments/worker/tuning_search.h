// Which methods are tried in a block (docs/tuning.md).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "experiments/worker/tuning.h"

namespace tarflow::experiments {

struct SearchSpace {
  int64_t tokens = 0;
  bool guided = false;            // evaluations may leave the unconditional pass out
  bool linear = false;            // a calibration is there
  bool above_mean = false;        // the block's CRM is above the mean: it gets the long list
  double deviation = 0.03;        // around which tolerances lie
  double sequential_seconds = 0;  // of a batch
};

// What a method takes; nothing for one that does not fit into memory.
using Measure = std::function<std::optional<Trial>(const BlockPlan&)>;

// The methods in the order in which they were tried. Blocks of a small CRM are settled by any wide
// window or a few Jacobi iterations, so that a few tries find the best; a block for which these are
// no faster than sequential sampling gets the long list as well.
std::vector<Trial> search(const SearchSpace& space, const Measure& measure);

}  // namespace tarflow::experiments
