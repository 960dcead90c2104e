// A report in plain words.
#pragma once

#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/tables/measured.h"

namespace tarflow::analysis {

// One paragraph a line, for readers who know neither the paper nor the words of the tables.
std::vector<std::string> plain_summary(const std::vector<Point>& points,
                                       const std::vector<MeasuredFamily>& families);

// What was found: the same without the paragraph that introduces the field, and without the one
// that says how to measure times again.
std::vector<std::string> findings(const std::vector<Point>& points,
                                  const std::vector<MeasuredFamily>& families);

// The words of the tables and what they mean.
std::vector<std::pair<std::string, std::string>> glossary();

}  // namespace tarflow::analysis
