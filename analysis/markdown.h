// Reports as GitHub Markdown.
#pragma once

#include <string>

#include "analysis/table.h"

namespace tarflow::analysis {

std::string render_markdown(const Table& table);
std::string render_markdown(const Report& report);

}  // namespace tarflow::analysis
