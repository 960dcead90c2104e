// `${env:NAME}` and `${env:NAME:-default}` in the values of a sweep; nothing else is evaluated.
#pragma once

#include <optional>
#include <string>

#include "framework/sweep/report.h"

namespace tarflow::sweep {

inline bool may_refer(const std::string& text) { return text.find("${") != std::string::npos; }

// The scalar's text with every `${env:...}` replaced and `$${` made `${`. Reports what is wrong at
// its place in the file and returns nothing then.
std::optional<std::string> substitute_environment(const Node& scalar, Report& report);

}  // namespace tarflow::sweep
