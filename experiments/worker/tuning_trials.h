// One block of a batch inverted by one method, timed and compared with sequential sampling.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "experiments/worker/tuning.h"
#include "framework/model/forward.h"
#include "framework/sampling/evaluator.h"

namespace tarflow::experiments {

// A trial and the block's output for the probes, (probes, T, D) on the CPU.
struct Tried {
  Trial trial;
  at::Tensor probes;
};

class TuningTrials {
 public:
  // Keeps references. The batches are those that fit into memory.
  TuningTrials(const Model& model, const TuningRequest& request,
               std::shared_ptr<const Calibration> calibration, const TuningObserver& observer);

  int64_t batch() const { return batch_; }    // images at once
  int64_t images() const { return images_; }  // of all batches
  int64_t probes() const { return probes_; }

  // (K + 1, images, T, D) on the CPU: the noise, and the state after each block from K-1 on,
  // sampled sequentially; and the seconds of each block in checkpoint order. Throws Error where
  // they are not finite.
  at::Tensor sequential(std::vector<double>& seconds);
  // Takes what sequential() gave earlier.
  void set_states(at::Tensor states) { states_ = std::move(states); }
  // CRM of each block in percent, from the sequential images.
  std::vector<double> crm_percent() const;

  // Nothing where a method does not fit into memory.
  std::optional<Tried> tried(int block, const BlockPlan& plan);
  // The probes' states before a block, changed at random by less than the compute type resolves.
  at::Tensor rounded_otherwise(int block, const at::Tensor& probes) const;
  // The block's output for a probe's state before it; rows (n probes, T, D), sequential.
  at::Tensor followed(int block, const at::Tensor& rows);
  // The state of the probes after the block, or before it.
  at::Tensor probes_after(int block) const;
  at::Tensor probes_before(int block) const;
  // Median over images of the relative rms difference of a batch's rows from `exact`.
  double deviation(const at::Tensor& rows, const at::Tensor& exact) const;

  // The whole strategy; fills what is measured.
  void run(const Strategy& strategy, Round& round);

 private:
  struct Run {
    at::Tensor x;
    double seconds = 0;
    BlockWork work;
  };
  Run invert(int block, const BlockPlan& plan, const at::Tensor& x, const Labels& labels);
  // All blocks one after another.
  struct Chain {
    at::Tensor x;
    double seconds = 0;
    std::vector<double> block_seconds;
  };
  Chain chain(const Strategy& strategy, const at::Tensor& noise, const Labels& labels);
  // Whether a batch is timed once more after so many runs that took so many seconds.
  bool again(int runs, double spent) const;
  // The least of some runs, after one that makes ready what comes once.
  Run timed(int block, const BlockPlan& plan, const at::Tensor& x, const Labels& labels);
  // States before block b, and after b - 1.
  at::Tensor state(int block) const;
  at::Tensor part(const at::Tensor& state, int64_t index) const;  // of a batch, on the device
  Labels labels_of_batch(int64_t index) const;
  bool fits(const BlockPlan& plan) const;

  const Model& model_;
  const TuningRequest& request_;
  const std::shared_ptr<const Calibration> calibration_;
  const TuningObserver& observer_;
  int64_t batch_ = 0, batches_ = 0, images_ = 0, probes_ = 0;
  Labels labels_;
  std::unique_ptr<Evaluator> evaluator_;
  at::Tensor states_;
};

}  // namespace tarflow::experiments
