// The choice of one option a block that takes the least time within a budget of error
// (docs/tuning.md).
#pragma once

#include <cstddef>
#include <vector>

namespace tarflow {

// One method for one block.
struct Option {
  double seconds = 0;  // it takes
  double error = 0;    // it adds to that of the whole; errors of blocks are summed
};

// The option of each block, by index, for which the seconds are least while the errors sum to
// `budget` at most. Of choices that take the same time, one with the smallest error. The result is
// the optimum: all sums that are not beaten in both are kept. Throws Error for a block without
// options, for values that are negative or not finite, and where no choice is within the budget.
std::vector<size_t> fastest_within(const std::vector<std::vector<Option>>& blocks, double budget);

// The options that none of the others beats in both, by index, the fastest first.
std::vector<size_t> unbeaten(const std::vector<Option>& options);

}  // namespace tarflow
