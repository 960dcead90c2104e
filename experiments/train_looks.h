// What a training looks at every so often: the loss of images that are not trained on, samples from
// fixed noise, and their distance to real images.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "experiments/train_settings.h"
#include "experiments/training_images.h"
#include "experiments/worker/job_context.h"
#include "experiments/worker/reference.h"

namespace tarflow::experiments {

// The mean loss of the images of `held_out`.
class HeldOut {
 public:
  // Keeps references.
  HeldOut(JobContext& context, const TrainSettings& settings);

  int64_t count() const { return images_.count(); }
  // The batches are dealt to the ranks; all of them get the mean of 0.5 mean(z^2) - logdet.
  double loss(const Model& model) const;

 private:
  at::Tensor noisy(const std::vector<int64_t>& places) const;

  const TrainSettings& settings_;
  dist::Communicator& comm_;
  const at::Device device_;
  const TrainingImages images_;
};

// Of a loss of uniform noise.
double loss_in_bits(double loss);

// Images first..first+count-1 of the seed, sampled token after token: (count, colours, H, H).
at::Tensor sampled_images(const Model& model, const TrainSettings& settings, int64_t first,
                          int64_t count);

// The Frechet distance of the first `distance_images` samples to `reference`.
class SampleDistance {
 public:
  // Keeps references.
  SampleDistance(JobContext& context, const TrainSettings& settings);

  const std::string& name() const { return name_; }  // "FID", "FD(...)"
  // Chunks of samples are dealt to the ranks; rank 0 gets the distance. NaN where a sample is not
  // finite.
  double of(const Model& model) const;

 private:
  const TrainSettings& settings_;
  dist::Communicator& comm_;
  const metrics::Extractor extractor_;
  const metrics::Gaussian reference_;
  const std::string name_;
};

}  // namespace tarflow::experiments
