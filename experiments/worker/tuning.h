// Which method serves each block best: measured for one model, device, batch and guidance
// (docs/tuning.md).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "framework/core/json.h"
#include "framework/core/strategy.h"
#include "framework/sampling/batch_sampler.h"
#include "framework/sampling/linear_model.h"

namespace tarflow::experiments {

// One method tried in one block, all other blocks sequential.
struct Trial {
  BlockPlan plan;
  double seconds = 0;      // of a batch
  double evaluations = 0;  // of a batch
  double passes = 0;       // tokens evaluated / T
  // Median over images of the rms difference of the block's output from the sequential one, over
  // the rms of the sequential one; NaN where it is not finite.
  double change = 0;
  // The same of the final images, sampled sequentially from there; NaN where nobody followed it.
  double deviation = std::numeric_limits<double>::quiet_NaN();
};

struct BlockTrials {
  double crm_percent = 0;
  double sequential_seconds = 0;  // of a batch
  // Median deviation of the final images where the block's input changes by less than the compute
  // type resolves: in bfloat16 other rounding alone gives 0.02 on a model of 1,024 tokens.
  double rounding = 0;
  std::vector<Trial> trials;
};

// The distance of a strategy's samples to real images over that of sequential ones, less 1.
struct Rise {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::quiet_NaN();  // standard error; NaN: not known
};

// A choice and what it came to.
struct Round {
  double budget = 0;  // the deviation it was chosen for
  double predicted_seconds = 0, predicted_deviation = 0;
  double linear_deviation = 0;  // the sum of the blocks' deviations
  double measured_seconds = 0, measured_deviation = 0;
  Rise rise;                                                      // NaN where none was asked for
  std::vector<double> block_seconds;                              // measured, in checkpoint order
  std::vector<double> predicted_block_seconds, block_deviations;  // predicted, likewise
  Strategy strategy;
};

struct Tuning {
  double deviation = 0;             // stated
  double most_rise = 0;             // stated instead of it; 0: none
  int64_t batch = 0;                // images sampled at once
  int64_t images = 0, probes = 0;   // measured in all, and followed to the end
  std::vector<BlockTrials> blocks;  // in checkpoint order
  std::vector<Round> rounds;        // at least one
  size_t chosen = 0;                // the round whose strategy is taken
  double seconds = 0;               // the tuning took

  const Round& result() const { return rounds.at(chosen); }
  double sequential_seconds() const;  // of all blocks
  size_t trial_count() const;
};

Json to_json(const Tuning& tuning);
Tuning tuning_from_json(const Json& json);  // throws Error

// Final deviation per unit of tolerance of a block's windows, least squares through the origin; NaN
// without one that was followed to the end.
double amplification(const BlockTrials& block);

struct TuningRequest {
  double deviation = 0.03;  // at most; where `most_rise` is stated, what the search begins with
  double most_rise = 0;     // what the distance may rise by, as a share; 0: the deviation counts
  std::function<Rise(const Strategy&)> rise;  // measures it; needed where it is stated
  int64_t batch = 64;
  Guidance guidance;
  BatchOptions memory;
};

// Images that the tuning samples at once: request.batch, or fewer where memory does not hold them.
// Throws Error where it does not hold one.
int64_t tuning_batch(const Model& model, const TuningRequest& request);

// Who watches a tuning.
struct TuningObserver {
  std::function<void(const std::string&)> say;
  std::function<void(int64_t done, int64_t total)> progress;
  std::function<void()> stop_if_requested;  // what it throws ends the tuning
  // Is given what is needed to go on after each block; may do nothing.
  std::function<void(const struct TuningState&)> keep;
};

// In place of a trial: the block's input was changed by less than the compute type resolves.
inline constexpr int kRounding = -1;

// What is known after some blocks, from K-1 on.
struct TuningState {
  int next_block = -1;  // the block that comes next; -1: all are done
  at::Tensor states;    // (K + 1, images, T, D) fp32 on the CPU: sequential, K first
  at::Tensor exact;     // (probes, T, D): sequential probes, as they were followed
  at::Tensor followed;  // (rows, T, D): trials followed so far, in the order of `rows`
  std::vector<std::pair<int, int>> rows;  // block and trial, or kRounding, of each `probes` rows
  Tuning tuning;
};

// `from`: where an earlier one was stopped, or nothing. Throws Error where sequential images or
// metrics are not finite.
Tuning tuned(const Model& model, const TuningRequest& request,
             const std::shared_ptr<const Calibration>& calibration, const TuningObserver& observer,
             std::optional<TuningState> from = {});

}  // namespace tarflow::experiments
