// The speed-up tables: strategies against For (the paper's tables of time, FID and rate).
#pragma once

#include <vector>

#include "analysis/data/points.h"
#include "analysis/data/published.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// `points`: those of experiment evaluate. Each block's table; where the model is published and no
// other block of it is nearer to the published settings, the published figures beside the measured
// ones; at last what each strategy is. `published` may be null.
TableSet speedup_tables(const std::vector<Point>& points, const Published* published);

}  // namespace tarflow::analysis
