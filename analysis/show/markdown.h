// Reports as GitHub Markdown.
#pragma once

#include <string>
#include <string_view>

#include "analysis/show/table.h"

namespace tarflow::analysis {

// Text that Markdown shows as it is.
std::string escape_markdown(std::string_view text);

std::string render_markdown(const Table& table);
std::string render_markdown(const Report& report);

}  // namespace tarflow::analysis
