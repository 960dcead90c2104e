// The kernel distance of Binkowski et al. 2018 (arXiv 1801.01401, section 4), "KID" with Inception
// features: an unbiased estimate even for few images, unlike the Frechet distance.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::metrics {

struct KidOptions {
  int64_t subsets = 100;
  int64_t subset_size = 1000;  // samples of each set in a subset, drawn without replacement
  uint64_t seed = 0;
};

struct Kid {
  double mean = 0;          // over subsets; may be slightly below 0
  double deviation = 0;     // population standard deviation over subsets, as torch-fidelity reports
  int64_t subsets = 0;      // that were drawn
  int64_t subset_size = 0;  // of each: what was asked for, or all samples of the smaller set
};

// The squared maximum mean discrepancy of two sets of m samples with the kernel
// k(a, b) = (a b / F + 1)^3, U-statistics within the sets and the full mean between them:
//   (sum_{i != j} k(x_i, x_j) + sum_{i != j} k(y_i, y_j)) / (m (m - 1)) - 2 sum_ij k(x_i, y_j) /
//   m^2
// x, y: (m, F). In float64 on their device. Throws Error below two samples.
double polynomial_mmd2(const at::Tensor& x, const at::Tensor& y);

// Its mean over random subsets. real: (n, F), fake: (m, F), floating point, each on any device; the
// work is done on that of `fake`. The subsets follow from the seed and the numbers of samples
// alone. Throws Error for other shapes, fewer than two samples, or values that are not finite.
Kid kernel_distance(const at::Tensor& real, const at::Tensor& fake, const KidOptions& options = {});

}  // namespace tarflow::metrics
