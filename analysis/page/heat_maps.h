// Heat maps of the distance: one figure for each family, a panel for each strategy or setting.
#pragma once

#include <vector>

#include "analysis/show/plot.h"
#include "analysis/tables/measured.h"

namespace tarflow::analysis {

inline constexpr size_t kMostPanels = 12;  // of one figure

// By cfg (across) and self_denoising_lr (upwards), a panel for each strategy with two cells at
// least, all on one colour scale. The best cell of each panel is framed; its error, and the cells
// that cannot be told from it, are in the caption.
std::vector<Plot> heat_maps(const std::vector<MeasuredFamily>& families);

// By the settings inside a strategy, where these are columns of the points: stack, segments,
// iterations and else of GS-Jacobi, window and tolerance of the adaptive window. The two settings
// with the most values are the axes; each combination of the others is a panel. At the cfg and
// self_denoising_lr where For's distance is smallest, or else where most strategies were measured.
std::vector<Plot> strategy_maps(const std::vector<MeasuredFamily>& families);

}  // namespace tarflow::analysis
