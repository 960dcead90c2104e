// The convergence tables: how many iterations each block takes, and what its residual tells.
#pragma once

#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// One table a point of experiment convergence, a row a block.
TableSet convergence_tables(const std::vector<Point>& points);

}  // namespace tarflow::analysis
