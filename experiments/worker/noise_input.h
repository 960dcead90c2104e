// The noise and labels a run starts from: by seed, or from a file.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "experiments/worker/sampling_job.h"
#include "experiments/worker/settings.h"
#include "framework/model/forward.h"

namespace tarflow::experiments {

// Part of the settings of experiments that accept noise from a file.
struct NoiseSettings {
  std::string noise, noise_dataset = "noise", labels_dataset = "labels";
  double noise_scale = 1;

  void bind(Binder& binder);
};

class NoiseInput {
 public:
  // Reads the file, if there is one; else `settings` tell the seed. Keeps a reference to the model.
  // Throws Error when the file's noise is not (N, T, D) or it holds fewer images or labels than
  // settings.num_images.
  NoiseInput(JobContext& context, const NoiseSettings& from, const SamplingSettings& settings,
             const Model& model);

  // (N, T, D) on the model's device, scaled.
  at::Tensor noise(const Chunk& chunk) const;
  Labels labels(const Chunk& chunk) const;

 private:
  const Model& model_;
  const SamplingSettings settings_;
  const double scale_;
  at::Tensor noise_;  // of all images, on the CPU; undefined where it follows from the seed
  Labels labels_;
};

}  // namespace tarflow::experiments
