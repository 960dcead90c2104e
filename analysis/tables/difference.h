// The tables of experiment compare: how far strategies are from the one they are compared with.
#pragma once

#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// One table a model and settings, a row a strategy.
TableSet difference_tables(const std::vector<Point>& points);

}  // namespace tarflow::analysis
