// A training step by step: everything that a later step depends on, and the step (method.md
// section 8).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "framework/training/gradient.h"
#include "framework/training/optimizer.h"
#include "framework/training/parameters.h"

namespace tarflow::training {

// Of the variance of the prior after each step, in volume-preserving models alone.
inline constexpr double kVarianceRate = 0.1;

struct Recipe {
  ModelShape shape;
  ComputeType compute = ComputeType::kFloat32;
  AdamW adamw;
  double clip = 0;  // largest norm of the gradient; 0: any
  double ema = 0;   // decay of the moving average of the weights; 0: none is kept
  LayerKernels kernels = LayerKernels::kComposed;
};

// All rows are float32 on the device of the training.
struct State {
  at::Tensor row;  // weights
  at::Tensor var;  // (T, D)
  OptimizerState optimizer;
  at::Tensor average;   // moving average of the weights; undefined without one
  int64_t steps = 0;    // done, those that were skipped included
  int64_t skipped = 0;  // steps whose loss or gradient was not finite
};
// Before the first step, with the initial weights `row`.
State initial_state(const Recipe& recipe, const at::Tensor& row);

// What a step tells, all ranks together.
struct StepReport {
  double square = 0;                  // mean over the batch of 0.5 mean(z^2)
  double logdet = 0;                  // mean over the batch
  std::vector<double> block_squares;  // mean z^2 after each block, in checkpoint order
  double gradient_norm = 0;           // before clipping
  bool flagged = false;               // any rank said so
  bool skipped = false;               // something was not finite: weights and moments are as before

  double loss() const { return square - logdet; }
};

// Adds up tensors of all ranks. `begin` may return before the sum is there; `finish` waits for all
// that were begun.
struct Reduction {
  std::function<void(const at::Tensor&)> begin;
  std::function<void()> finish;
};
Reduction one_rank();

// Bytes that activations may take beside those of one block; asked for once, after the first part
// of a step, with the bytes that this part took at its peak. Without it each block's are computed
// again.
using ActivationMemory = std::function<int64_t(int64_t peak)>;

class Trainer {
 public:
  // `batch`: images of a step, of all ranks and all parts.
  Trainer(const Recipe& recipe, int64_t batch, State state, Reduction reduction = one_rank(),
          ActivationMemory memory = {});

  const ParameterLayout& layout() const { return layout_; }
  const State& state() const { return state_; }

  // A step begins with its first part. The images of a part are in memory at once; `last` says that
  // no other follows. images: (n, colours, H, H), noise added.
  void add(const at::Tensor& images, const Labels& labels, bool last);
  // Ends it: sums over ranks, clipping, the update, the moving average. `flag`: a word to the other
  // ranks (StepReport::flagged), which costs nothing beside the sums.
  StepReport finish(double learning_rate, bool flag = false);

  // Blocks whose activations stay in memory in each part after the first, and the bytes of one.
  int kept_blocks() const { return kept_.value_or(0); }
  int64_t block_bytes() const { return block_bytes_; }

  // The model as it is now; `averaged`: with the moving average of the weights.
  Model model(ComputeType compute, bool averaged = false) const;

 private:
  StepReport report_of(const at::Tensor& numbers) const;
  void round();
  PassResult pass(const at::Tensor& images, const Labels& labels, bool last);
  void choose_kept(const PassResult& first);

  const Recipe recipe_;
  const ParameterLayout layout_;
  const int64_t batch_;
  const Reduction reduction_;
  const ActivationMemory memory_;
  std::optional<int> kept_;  // nothing before the first part
  int64_t block_bytes_ = 0;
  State state_;
  at::Tensor rounded_;   // the weights in the compute type; the row itself in float32
  at::Tensor gradient_;  // row
  at::Tensor sums_;      // of the step's parts; undefined before the first
  at::Tensor squares_;   // (T, D), of volume-preserving models: z^2 summed over the step's images
};

}  // namespace tarflow::training
