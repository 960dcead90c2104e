// The plots that answer first: which blocks are tough, how fast each strategy is, what it changes.
#pragma once

#include <vector>

#include "analysis/show/plot.h"
#include "analysis/tables/crm.h"
#include "analysis/tables/measured.h"

namespace tarflow::analysis {

// CRM % of each block as bars, a plot for each model and number of images; tough blocks stand out
// by colour and pattern.
std::vector<Plot> crm_plots(const std::vector<BlockRanking>& rankings);

// The rate of each strategy as bars, at the cfg and self_denoising_lr where For's distance is
// smallest; hatched where a time is indicative. Nothing for families in which no strategy there has
// a time beside one of For, as in smoke runs.
std::vector<Plot> rate_plots(const std::vector<MeasuredFamily>& families);

// The deviation from For's images against the passes, at the same settings: median, and a bar up to
// the 99th percentile, means over seeds. Nothing where no images were kept.
std::vector<Plot> deviation_plots(const std::vector<MeasuredFamily>& families);

}  // namespace tarflow::analysis
