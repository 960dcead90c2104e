// The settings of `train`, and what follows from them and from the number of images.
#pragma once

#include <cstdint>
#include <string>

#include "experiments/worker/job_context.h"
#include "experiments/worker/settings.h"
#include "framework/tensor/noise.h"
#include "framework/training/schedule.h"
#include "framework/training/trainer.h"

namespace tarflow::experiments {

struct TrainSettings {
  std::string name, output;
  int64_t image_size = 0, patch_size = 0, channels = 0, blocks = 8, layers = 8, classes = 0,
          colours = 3;
  bool volume_preserving = false;
  std::string images, layout;
  int64_t num_images = 0, max_unreadable = 0;
  std::string noise = "gaussian";
  double noise_std = 0.05;
  bool flips = true;
  double drop_label = 0;
  int64_t batch = 256, accumulation = 1;
  int64_t epochs = 0, steps = 0;
  double learning_rate = 1e-4, least_learning_rate = 1e-6;
  int64_t warm_up_steps = -1;
  double beta1 = 0.9, beta2 = 0.95, weight_decay = 1e-4;
  double clip = 0, ema = 0;
  int64_t seed = 0;
  int64_t max_skipped_steps = 10;
  int64_t save_every = 0, keep = 3, profile_steps = 0;
  std::string held_out;
  int64_t held_out_images = 0, held_out_every = 0;
  int64_t samples = 16, samples_every = 0;
  double samples_cfg = 0;
  std::string extractor, reference, extractor_precision = "float32";
  int64_t distance_images = 1000, distance_every = 0;
  std::string device = "auto", compute_type = "auto", kernels = "composed";

  void bind(Binder& binder);

  bool uniform() const { return noise == "uniform"; }
  ImageNoise noise_kind() const { return uniform() ? ImageNoise::kUniform : ImageNoise::kNormal; }
  ModelShape shape() const;
  // bfloat16 on a GPU for Gaussian noise, as published, unless it is stated.
  ComputeType compute(const at::Device& device) const;
  training::LayerKernels layer_kernels() const;
  // Throws Error for what no training can do.
  void check() const;

 private:
  void bind_model(Binder& binder);
  void bind_kind(Binder& binder);
  void bind_images(Binder& binder);
  void bind_steps(Binder& binder);
  void bind_optimizer(Binder& binder);
  void bind_files(Binder& binder);
  void bind_looks(Binder& binder);
  void bind_distance(Binder& binder);
};

// How the images make steps.
struct StepPlan {
  int64_t steps = 0;            // of the training
  int64_t steps_per_epoch = 0;  // floor(images / batch)
  int64_t part = 0;             // images that a rank has in memory at once
  training::Schedule schedule;
};
// Throws Error when there are too few images, and when a batch does not divide among the ranks and
// their parts.
StepPlan plan_steps(const TrainSettings& settings, int64_t images, int ranks);

}  // namespace tarflow::experiments
