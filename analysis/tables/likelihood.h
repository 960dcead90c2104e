// The densities that models give to real images (method.md section 5).
#pragma once

#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// Two tables at most, as the two are not comparable: bits per dimension of models trained with
// uniform dequantisation, and nats a dimension of noisy images of all others. `points`: those of
// experiment bpd.
TableSet likelihood_tables(const std::vector<Point>& points);

}  // namespace tarflow::analysis
