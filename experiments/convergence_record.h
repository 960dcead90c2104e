// What convergence writes.
#pragma once

#include <vector>

#include "framework/core/experiment.h"

namespace tarflow::experiments {

std::vector<Column> convergence_columns();
std::vector<ArrayInfo> convergence_arrays();

}  // namespace tarflow::experiments
