// Pictures of experiments trace, compare and sample, from their arrays.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"
#include "framework/images/grid.h"

namespace tarflow::analysis {

struct Strips {
  std::string name;  // of the file, without ".png"
  std::string caption;
  std::vector<std::string> headings;  // of columns; may be empty
  std::vector<images::StripRow> rows;
};

// One a job: the first image from noise through every block to the end, a row a strategy. Points
// whose arrays are not in the file are passed over.
std::vector<Strips> trace_strips(const std::vector<Point>& points,
                                 std::vector<std::string>& problems);

// One a job: the samples compared with, then of each strategy its samples and the differences.
std::vector<Strips> compare_strips(const std::vector<Point>& points,
                                   std::vector<std::string>& problems);

// One a model: the first final images of experiment sample, a row a point.
std::vector<Strips> sample_strips(const std::vector<Point>& points,
                                  std::vector<std::string>& problems);

// Writes folder/<name>.png. Throws Error naming it.
Picture write_strips(const Strips& strips, const std::filesystem::path& folder);

}  // namespace tarflow::analysis
