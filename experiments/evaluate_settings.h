// What evaluate accepts.
#pragma once

#include <cstdint>
#include <string>

#include "experiments/worker/sampling_job.h"
#include "experiments/worker/settings.h"
#include "framework/job/saved_images.h"

namespace tarflow::experiments {

struct EvaluateSettings : SamplingSettings {
  double self_denoising_lr = kSelfDenoisingLr;
  std::string extractor, reference, layout;
  std::string extractor_precision = "float32";
  int64_t kept_features = 10000;
  int64_t kid_subset_size = 1000;
  int64_t warmup_images = 2;
  std::string save_images = job::kNoImages;

  void bind(Binder& binder);
};

}  // namespace tarflow::experiments
