// What evaluate gathers over its chunks, and its form in partial.h5.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/worker/arrays.h"
#include "experiments/worker/sampling_job.h"
#include "framework/metrics/moment_groups.h"

namespace tarflow::experiments {

inline constexpr int64_t kKeptImages = 64;  // before self-denoising, for comparing strategies

// Of one self-denoising rate, which points with different extractors share.
struct RateTotals {
  double lr = 0;
  double seconds = 0;  // of the steps
  int64_t nonfinite = 0;
};

// Of one rate's images seen by one extractor; points with different references share it.
struct FeatureTotals {
  size_t rate = 0;
  std::string extractor;  // its path
  double seconds = 0;
  metrics::MomentGroups moments;
  std::vector<at::Tensor> kept;  // (n, F) float32 on the CPU of each chunk
  int64_t kept_count = 0;
  int64_t nonfinite = 0;  // finite images whose features are not

  // Keeps the features of the first `most` samples.
  void keep_first(const at::Tensor& features, int64_t most);
};

// Seconds that one rank has worked.
struct RankTimes {
  double sampling = 0, gradient = 0;
  std::vector<double> denoising, features;  // as EvaluateTotals::rates and ::features

  at::Tensor packed() const;              // float64, for the way to rank 0
  void unpack(const at::Tensor& packed);  // of one with as many rates and features
  void raise_to(const RankTimes& other);  // the longer of each
};

struct EvaluateTotals {
  int64_t chunks_done = 0;
  double sampling_seconds = 0, gradient_seconds = 0, gather_seconds = 0;
  double seconds = 0;  // of the loop over chunks, earlier starts of the job included
  std::vector<RateTotals> rates;
  std::vector<FeatureTotals> features;
  std::vector<at::Tensor> kept;  // (n, 3, H, H) of each chunk, kKeptImages in all
  int64_t kept_count = 0;
  WorkTotals work;

  void keep_first(const at::Tensor& images);

  std::vector<record::Array> state() const;
  size_t state_bytes() const;  // about
  // Throws Error, and leaves the value as it was, when the arrays are not of a run with these rates
  // and features.
  void restore(const ArrayMap& arrays);
};

}  // namespace tarflow::experiments
