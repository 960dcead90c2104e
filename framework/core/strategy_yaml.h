// A strategy as a sweep file states it.
#pragma once

#include <string>

#include "framework/core/strategy.h"

namespace tarflow {

// "label: NAME" and "blocks:" with a line for equal blocks, each line behind `indent` spaces.
std::string to_yaml(const Strategy& strategy, int indent = 0);
// The same in one line, {label: NAME, blocks: {...}}.
std::string to_yaml_line(const Strategy& strategy);

}  // namespace tarflow
