// Tables and texts as HTML.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "analysis/show/table.h"

namespace tarflow::analysis {

// Text as it is to be seen, also inside attributes in double quotes.
std::string escape_html(std::string_view text);

std::string base64(std::string_view bytes);

// Where the origins of cells are told on the page, by Point::origin(): "p12".
using Anchors = std::map<std::string, std::string>;

// A table in a box that scrolls by itself, titled by a heading <h3 id="ID">. The first column are
// the headings of the rows; cells with origins lead to them.
std::string render_html(const Table& table, const std::string& id, const Anchors& anchors);

}  // namespace tarflow::analysis
