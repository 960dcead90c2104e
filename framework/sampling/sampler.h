// Sampling: the blocks of the flow are inverted one after another (method.md section 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/model/forward.h"
#include "framework/sampling/evaluator.h"
#include "framework/sampling/linear_model.h"
#include "framework/sampling/solve.h"

namespace tarflow {

struct SampleOptions {
  Strategy strategy;  // one entry per block
  Guidance guidance;
  // Of the model; needed if a window of the strategy guesses by the linear model.
  std::shared_ptr<const Calibration> calibration = {};
  bool keep_trace = false;
  // Called before each block is inverted, and with -1 after the last.
  std::function<void(int block)> on_block = {};
  // Called after every step with the share, 0 to 1, of a call's work that was given to the device,
  // as far as that is known: iterations may stop early. It has to be cheap.
  std::function<void(double share)> on_progress = {};
};

struct SampleResult {
  at::Tensor images;  // (N, 3, H, H) fp32, unclipped, before self-denoising
  // K + 1 tensors (N, 3, H, H): the noise, then the state after blocks K-1 .. 0; with keep_trace.
  std::vector<at::Tensor> trace;
  std::vector<BlockWork> work;  // in checkpoint order
  double block_passes = 0;      // tokens evaluated / T, summed over blocks
  int64_t micro_batch = 0;      // the most images that were sampled at once
};

// Samples batches of up to `capacity` images. Packs the weights and allocates the cache once.
class Sampler {
 public:
  // Keeps a reference to the model. Throws Error if the strategy does not fit the model or leaves a
  // guess open (Guess::kAuto).
  Sampler(const Model& model, int64_t capacity, SampleOptions options);

  int64_t capacity() const { return evaluator_->capacity(); }

  // noise: (N, T, D) standard normal, fp32 on the model's device, in image token order. N is at
  // most the capacity. labels: N, one for all images, or none: the mean class. Throws Error for
  // other numbers.
  SampleResult sample(const at::Tensor& noise, const Labels& labels);
  // The same by another strategy than that of the options. Throws Error if it does not fit the
  // model.
  SampleResult sample(const at::Tensor& noise, const Labels& labels, const Strategy& strategy);

 private:
  const Model& model_;
  SampleOptions options_;
  std::unique_ptr<Evaluator> evaluator_;
};

// Samples one batch.
SampleResult sample(const Model& model, const at::Tensor& noise, const Labels& labels,
                    const SampleOptions& options);

}  // namespace tarflow
