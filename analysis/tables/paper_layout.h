// The speed-up table as the paper prints it: a column a model, published ones beside measured ones.
#pragma once

#include <optional>
#include <vector>

#include "analysis/data/published.h"
#include "analysis/show/table.h"
#include "analysis/tables/speedup_block.h"

namespace tarflow::analysis {

// A column for each model on each device, of the block whose For has the smallest distance: For's
// time and distance, a strategy with its time and distance, and the rate. The strategy is the one
// published for the model where that was measured, else the fastest whose distance is at most 1 %
// above For's. A model without a valid time shows indicative ones, with a note; times of smoke runs
// count for nothing. The published figures stand beside the models they belong to. Nothing where no
// model has a For with a time and a distance.
std::optional<Table> paper_layout(const std::vector<SpeedupBlock>& blocks,
                                  const Published* published);

}  // namespace tarflow::analysis
