// Deviations of a compute type from float32, of experiment device_error.
#pragma once

#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// A table a model, device and compute type: the forward pass, then each strategy.
TableSet device_error_tables(const std::vector<Point>& points);

}  // namespace tarflow::analysis
