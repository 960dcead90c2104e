// Several values where a setting takes one: the line that states a point for each of them here.
#pragma once

#include <string>

#include "framework/core/experiment.h"
#include "framework/sweep/report.h"
#include "framework/sweep/yaml.h"

namespace tarflow::sweep {

// Of a list where the setting stands alone: "grid: {cfg: [0, 1]}"; "" for another value.
std::string as_axis(const Field& field, const Node& value);
// Of `--set cfg=0.5,1`, whose value is the text "0.5,1": "--set 'cfg=[0.5, 1]'"; "" for another
// value.
std::string as_set_list(const Field& field, const Node& value);

// Puts `repair`, unless it is "", into the errors from index `first` on that have none.
void give_repair(Report& report, size_t first, const std::string& repair);

}  // namespace tarflow::sweep
