// The answer of a report on one screen: what was run and found, the strategies at the best setting,
// what is not valid and why, where the rest is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"
#include "analysis/show/text.h"
#include "analysis/tables/measured.h"

namespace tarflow::analysis {

inline constexpr size_t kMostAnswerLines = 24;  // of render_answer

// `families`: measured_families of the points.
Answer make_answer(const std::vector<Point>& points, const std::vector<MeasuredFamily>& families,
                   const std::vector<Source>& sources);

// At most kMostAnswerLines lines of style.width columns. `files` are those that the report is of,
// `folder` is where it lies.
std::string render_answer(const Report& report, const std::vector<std::filesystem::path>& files,
                          const std::filesystem::path& folder, const TextStyle& style);

}  // namespace tarflow::analysis
