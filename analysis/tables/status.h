// The points whose row is not to be used without a word: those whose status is not ok.
#pragma once

#include <optional>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// A row for each such point; nothing where there are none.
std::optional<Table> status_table(const std::vector<Point>& points);

}  // namespace tarflow::analysis
