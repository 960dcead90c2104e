// What distances between two sets of features ask of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::metrics {

// Throws Error unless both are (n, F) floating point of one F, with `fewest` rows at least, and
// finite. `what` names the measure.
void require_feature_sets(const char* what, const at::Tensor& real, const at::Tensor& fake,
                          int64_t fewest);

}  // namespace tarflow::metrics
