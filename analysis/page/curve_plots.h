// Plots of experiment convergence and of where the time goes.
#pragma once

#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/plot.h"

namespace tarflow::analysis {

// Of each point of experiment convergence: the distance to the sequential solution by iteration, a
// line a block; the same distance against the residual that a stop looks at; and, for each block
// that was measured segment by segment, a line a segment. Points whose arrays are not in the file
// are passed over: the tables say so.
std::vector<Plot> convergence_plots(const std::vector<Point>& points);

// Shares of the time of all kernels, of the points of experiment benchmark that have them: bars of
// a device and compute type below each other.
std::vector<Plot> kernel_plots(const std::vector<Point>& measured);

}  // namespace tarflow::analysis
