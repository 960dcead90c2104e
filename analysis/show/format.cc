#include "analysis/show/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tarflow::analysis {

int decimals_for(const std::vector<std::optional<double>>& values) {
  double smallest = 1;
  for (const auto& value : values) {
    if (value && *value > 0) smallest = std::min(smallest, *value);
  }
  return std::clamp(2 - static_cast<int>(std::floor(std::log10(smallest))), 2, 6);
}

std::string fixed(std::optional<double> value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : kNoValue;
}

std::string deviation_text(double value) {
  if (value == 0) return "0";
  if (!std::isfinite(value)) return "inf";
  return value < 1e-3 ? fmt::format("{:.1e}", value) : fmt::format("{:.4f}", value);
}

std::string count_text(double value) {
  const std::string digits = fmt::format("{:.0f}", value);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string plural(size_t count, const std::string& noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

Cell number_cell(std::optional<double> value, int decimals, std::string note) {
  return {fixed(value, decimals), false, std::move(note), value};
}

Cell count_cell(std::optional<double> value) {
  return {value ? count_text(*value) : kNoValue, false, "", value};
}

Cell deviation_cell(std::optional<double> value, std::string note) {
  return {value ? deviation_text(*value) : kNoValue, false, std::move(note), value};
}

}  // namespace tarflow::analysis
