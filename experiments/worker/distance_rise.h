// How much farther from real images the samples of a strategy are than those of sequential sampling
// of the same noise: what a tuning may be bounded by instead of the deviation (docs/tuning.md).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/worker/job_context.h"
#include "experiments/worker/settings.h"
#include "experiments/worker/tuning.h"
#include "framework/metrics/extractor.h"
#include "framework/metrics/frechet.h"

namespace tarflow::experiments {

struct RiseSettings {
  std::string extractor, extractor_precision = "float32", reference, layout;
  int64_t images = 1000;
  double self_denoising_lr = kSelfDenoisingLr;
};

// Measures on one process. Keeps references.
class DistanceRise {
 public:
  // All ranks of a job make one. Throws Error where extractor or reference cannot be used.
  DistanceRise(JobContext& context, const Model& model, const RiseSettings& settings);

  const std::string& name() const { return name_; }  // "FID", "FD(...)"
  // Of the same images by `strategy` and sequentially, in chunks of request.batch; sequential ones
  // are sampled once. The error is that of the difference by the delete-one-group jackknife, over
  // the sequential distance. NaN where samples or features are not finite.
  Rise of(const Strategy& strategy, const TuningRequest& request,
          const std::shared_ptr<const Calibration>& calibration);

 private:
  struct Distances {
    double all = 0;
    std::vector<double> without;    // a group each
    std::vector<int64_t> left_out;  // images of the group
    bool finite = true;
  };
  Distances distances(const Strategy& strategy, const TuningRequest& request,
                      const std::shared_ptr<const Calibration>& calibration) const;

  JobContext& context_;
  const Model& model_;
  const RiseSettings settings_;
  const metrics::Extractor extractor_;
  std::optional<metrics::FrechetReference> reference_;  // on rank 0
  const std::string name_;
  std::optional<Distances> sequential_;
};

}  // namespace tarflow::experiments
