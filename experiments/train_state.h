// How a training that was stopped or killed goes on: its state in partial.h5.
#pragma once

#include <cstdint>

#include "experiments/train_history.h"
#include "experiments/worker/job_context.h"
#include "experiments/worker/partial_file.h"
#include "framework/training/trainer.h"

namespace tarflow::experiments {

class TrainState {
 public:
  TrainState(JobContext& context, ComputeType compute);

  // The state of the last write and its history, if there is one: the tensors on the CPU, with
  // everything that the recipe keeps. A build, a device or a number of ranks other than this one's
  // is no reason to begin anew: the log and the point's status say that the last bits may differ.
  // All ranks read it, rank 0 first. Throws Error where they do not find the same.
  std::optional<training::State> read(const training::Recipe& recipe, TrainHistory& history);

  // Writes it on rank 0 when the last write is long enough ago, or when `now` says so.
  void write(const training::State& state, const TrainHistory& history, bool now);

 private:
  std::optional<training::State> read_here(const training::Recipe& recipe, TrainHistory& history);

  JobContext& context_;
  PartialFile file_;
  Json surroundings_;
};

}  // namespace tarflow::experiments
