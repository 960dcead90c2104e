// What a training tells of each step and of each look at the model, for its record and for a later
// start.
#pragma once

#include <cstdint>
#include <vector>

#include "experiments/worker/arrays.h"
#include "experiments/worker/job_context.h"
#include "framework/training/trainer.h"

namespace tarflow::experiments {

class TrainHistory {
 public:
  explicit TrainHistory(int blocks) : blocks_(blocks) {}

  void add_step(const training::StepReport& report, double learning_rate, double images_per_second);
  // loss: mean over images of 0.5 mean(z^2) - logdet.
  void add_held_out(int64_t step, double loss);
  void add_distance(int64_t step, double distance);
  // pixels: (n, H, W, 3) uint8.
  void add_samples(int64_t step, const at::Tensor& pixels);

  int64_t steps() const { return static_cast<int64_t>(loss_.size()); }
  // A mean over the last steps, at most `count`, that were not skipped; NaN when all were.
  double mean_loss(int64_t count) const;
  double first_loss() const { return loss_.front(); }
  double held_out_loss() const;  // the last one; NaN without one
  double distance() const;       // likewise
  bool has_held_out(int64_t step) const;
  bool has_distance(int64_t step) const;
  bool has_samples(int64_t step) const;

  // As arrays of the record; those that the schema declares (train_arrays).
  void report(JobContext& context) const;
  // All of it as arrays below `history/`, and back. Throws Error when they are not of such a value.
  std::vector<record::Array> state() const;
  void restore(const ArrayMap& arrays);

 private:
  int blocks_;
  std::vector<double> loss_, square_, logdet_, learning_rate_, gradient_norm_, images_per_second_;
  std::vector<double> block_squares_;  // (step, block)
  std::vector<int64_t> skipped_;       // 1: the step was
  std::vector<int64_t> held_out_steps_, distance_steps_, sample_steps_;
  std::vector<double> held_out_loss_, distance_;
  std::vector<at::Tensor> samples_;
};

std::vector<ArrayInfo> train_arrays();

}  // namespace tarflow::experiments
