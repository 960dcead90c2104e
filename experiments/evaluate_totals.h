// What evaluate gathers over its chunks, and its form in partial.h5.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "experiments/arrays.h"
#include "experiments/sampling_job.h"
#include "framework/metrics/moment_groups.h"

namespace tarflow::experiments {

inline constexpr int64_t kKeptImages = 64;  // before self-denoising, for comparing strategies

// Of one point.
struct PointTotals {
  double lr = 0;
  double denoise_seconds = 0, feature_seconds = 0;
  int64_t nonfinite = 0;
  metrics::MomentGroups moments;  // without groups when no distance is measured
};

struct EvaluateTotals {
  int64_t chunks_done = 0;
  double sampling_seconds = 0, gradient_seconds = 0;
  double seconds = 0;  // of the loop over chunks, earlier starts of the job included
  std::vector<PointTotals> points;
  std::vector<at::Tensor> kept;  // (n, 3, H, H) of each chunk, kKeptImages in all
  int64_t kept_count = 0;
  WorkTotals work;

  void keep_first(const at::Tensor& images);

  std::vector<record::Array> state() const;
  size_t state_bytes() const;  // about
  // Throws Error, and leaves the value as it was, when the arrays are not of a run with these
  // points.
  void restore(const ArrayMap& arrays);
};

}  // namespace tarflow::experiments
