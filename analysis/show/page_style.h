// What the page report.html looks like, and what it does.
#pragma once

#include <string_view>

namespace tarflow::analysis {

extern const std::string_view kPageStyle;   // CSS
extern const std::string_view kPageScript;  // JavaScript; the page is whole without it

}  // namespace tarflow::analysis
