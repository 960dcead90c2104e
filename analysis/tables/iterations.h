// Iterations that strategies with a stop of their own took, block by block, beside those their
// papers report.
#pragma once

#include <vector>

#include "analysis/data/points.h"
#include "analysis/data/published.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// A table a model, of sampling points whose records hold their iterations; none where no strategy
// has another stop than the published code's. A record that cannot be read is in `left_out`.
TableSet iteration_tables(const std::vector<Point>& points, const Published* published);

}  // namespace tarflow::analysis
