// The distance against the time, to choose a strategy by.
#pragma once

#include <vector>

#include "analysis/show/plot.h"
#include "analysis/tables/measured.h"

namespace tarflow::analysis {

// Distance against time of all strategies, with those that no other beats in both. Nothing for
// families of which fewer than two have a valid time.
std::vector<Plot> pareto_plots(const std::vector<MeasuredFamily>& families);

// Those of `measured` that have a time and none of which another is as fast and as near, in the
// order of their times.
std::vector<const Measured*> pareto_front(const std::vector<Measured>& measured);

}  // namespace tarflow::analysis
