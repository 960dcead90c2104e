// Words for whoever started the program.
#pragma once

#include <string>

namespace tarflow {

// A line on stderr.
void complain(const std::string& text);

}  // namespace tarflow
