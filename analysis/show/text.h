// Reports for a terminal.
#pragma once

#include <string>

#include "analysis/show/table.h"

namespace tarflow::analysis {

struct TextStyle {
  int width = 100;  // columns; tables too wide are continued below with their first column repeated
  bool bold = false;  // bold by terminal escapes; otherwise bold cells are marked with asterisks
};

std::string render_text(const Table& table, const TextStyle& style);
std::string render_text(const Report& report, const TextStyle& style);

}  // namespace tarflow::analysis
