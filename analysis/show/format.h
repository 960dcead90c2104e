// Numbers as the tables print them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/show/table.h"

namespace tarflow::analysis {

// Digits after the point that keep three significant digits of the smallest positive value, 2 to 6:
// one number for a whole column, so that its points stand below each other.
int decimals_for(const std::vector<std::optional<double>>& values);

std::string fixed(std::optional<double> value, int decimals);  // "—" without a value

// A relative deviation: "0" exactly, "0.0532", "3.1e-07", "inf".
std::string deviation_text(double value);

// 50000 -> "50,000".
std::string count_text(double value);

// "1 point", "2 points".
std::string plural(size_t count, const std::string& noun);

// A number as `fixed` prints it, with its value.
Cell number_cell(std::optional<double> value, int decimals, std::string note = "");
Cell count_cell(std::optional<double> value);
Cell deviation_cell(std::optional<double> value, std::string note = "");

}  // namespace tarflow::analysis
