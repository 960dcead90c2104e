// Plots to choose by: distances over cfg and self-denoising, and distance against time.
#pragma once

#include <vector>

#include "analysis/measured.h"
#include "analysis/plot.h"

namespace tarflow::analysis {

// Heat maps of the distance, cfg across and self_denoising_lr upwards, one a strategy with at least
// two cells, all of a family on one colour scale. The best cell is framed; its error, and which
// cells are not told from it, are in the caption.
std::vector<Plot> heat_maps(const std::vector<MeasuredFamily>& families);

// Distance against time of all strategies, with those that no other beats in both. Nothing for
// families of which fewer than two have a valid time.
std::vector<Plot> pareto_plots(const std::vector<MeasuredFamily>& families);

// Those of `measured` that have a time and none of which another is as fast and as near, in the
// order of their times.
std::vector<const Measured*> pareto_front(const std::vector<Measured>& measured);

}  // namespace tarflow::analysis
