// Precision and recall of samples (Kynkaanniemi et al. 2019, arXiv 1904.06991, section 2): how much
// of what is generated looks real, and how much of what is real can be generated.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::metrics {

struct PrecisionRecall {
  double precision = 0;  // share of generated samples inside the balls of the real ones
  double recall = 0;     // share of real samples inside the balls of the generated ones
};

// The ball of a sample reaches to its k-th nearest neighbour in its own set (itself not counted)
// and includes its edge. real: (n, F), fake: (m, F), floating point, each on any device; the work
// is done on that of `fake` in float64, in blocks of at most 128 MiB of distances. Samples as near
// to the edge as the rounding of such a distance count as on it, so that equal sets give 1 and 1.
// Throws Error for other shapes, k < 1, sets of k samples or fewer, or values that are not finite.
PrecisionRecall precision_recall(const at::Tensor& real, const at::Tensor& fake, int64_t k = 3);

}  // namespace tarflow::metrics
