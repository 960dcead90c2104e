// Which method serves each block, of experiment tune.
#pragma once

#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// One table for each point: each block's method with what was predicted and measured, and the
// strategy in YAML. Points without their arrays are left out.
TableSet tuning_tables(const std::vector<Point>& points);

}  // namespace tarflow::analysis
