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

// The methods of one block. The first is sequential sampling; `error` is the deviation of the final
// images where this block alone is not sequential.
struct BlockMethods {
  // Deviation of the final images where this block's input changes by less than the compute type
  // resolves, and this block and all that follow are sequential: other rounding, and nothing else.
  double rounding = 0;
  std::vector<Option> methods;
};

struct MethodChoice {
  std::vector<size_t> methods;  // of each block, by index
  double deviation = 0;         // of the final images, as predicted
};

// The deviation of the final images by one method a block, in checkpoint order (the last block is
// sampled first). From the first block on that is not sequential, every later block rounds in
// another way: that counts once. A method's own part is what it deviates beyond rounding, and the
// squares of these parts add up.
double predicted_deviation(const std::vector<BlockMethods>& blocks,
                           const std::vector<size_t>& methods);

// The choice of least seconds whose predicted deviation is `deviation` at most: the optimum, as
// above. Throws Error as above.
MethodChoice fastest_of_deviation(const std::vector<BlockMethods>& blocks, double deviation);

// The options that none of the others beats in both, by index, the fastest first.
std::vector<size_t> unbeaten(const std::vector<Option>& options);

}  // namespace tarflow
