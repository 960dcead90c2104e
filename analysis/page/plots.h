// The plots of a report.
#pragma once

#include <filesystem>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"
#include "analysis/tables/measured.h"

namespace tarflow::analysis {

inline constexpr size_t kMostPlots = 48;  // of one report; nobody looks at more

// Where the plots of the report in `folder` are.
std::filesystem::path plots_folder(const std::filesystem::path& folder);

// Writes all plots of these points with their data into plots_folder(folder) and draws them where
// gnuplot is installed. Report::plots holds those that were written; what is missing is told in
// Report::coverage and what failed in Report::problems.
void add_plots(Report& report, const std::vector<Point>& points,
               const std::vector<MeasuredFamily>& families, const std::filesystem::path& folder);

}  // namespace tarflow::analysis
