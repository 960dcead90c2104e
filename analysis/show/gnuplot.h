// Drawing plots with gnuplot, where it is installed.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "analysis/show/plot.h"

namespace tarflow::analysis {

// The program `gnuplot` on $PATH; "" when there is none.
std::filesystem::path find_gnuplot();

// Writes scripts and data of all plots into `folder`, which is the plots' alone: those of an
// earlier report are removed, but for own.gp. Returns one line for each that could not be written.
std::vector<std::string> write_plots(const std::vector<Plot>& plots,
                                     const std::filesystem::path& folder);

// Draws what was written there, as many at once as the machine has threads. Returns one line for
// each plot that gnuplot could not draw, with its reason. One that takes longer than `limit` is
// ended with its children.
std::vector<std::string> draw_plots(const std::vector<Plot>& plots,
                                    const std::filesystem::path& folder,
                                    const std::filesystem::path& gnuplot,
                                    std::chrono::milliseconds limit = std::chrono::minutes(2));

}  // namespace tarflow::analysis
