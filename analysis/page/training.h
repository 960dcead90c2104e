// Trainings: what came of each, their losses by step, and their samples over time.
#pragma once

#include <vector>

#include "analysis/data/points.h"
#include "analysis/page/strips.h"
#include "analysis/show/plot.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// One row a training. `points`: those of experiment train, here and below.
TableSet training_tables(const std::vector<Point>& points);

// Of each point: the loss and that of held-out images by step, the mean z^2 after each block, and
// the distance of samples. Points whose arrays are not in the file are passed over.
std::vector<Plot> training_plots(const std::vector<Point>& points);

// Of each point: samples from the same noise, a row each time they were looked at.
std::vector<Strips> training_strips(const std::vector<Point>& points,
                                    std::vector<std::string>& problems);

}  // namespace tarflow::analysis
