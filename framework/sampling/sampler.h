// From noise to images: the blocks of the flow inverted one after another (method.md section 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/model/forward.h"
#include "framework/sampling/evaluator.h"
#include "framework/sampling/invert.h"

namespace tarflow {

struct SampleOptions {
  Strategy strategy;  // one entry a block
  Guidance guidance;
  bool keep_trace = false;
  bool record_residuals = false;
};

struct SampleResult {
  at::Tensor images;  // (N, 3, H, H) fp32, unclipped, before self-denoising
  std::vector<at::Tensor>
      trace;  // K + 1 of (N, 3, H, H): the raw noise, then the state after blocks K-1 .. 0
  std::vector<BlockWork> work;  // in checkpoint order
  double block_passes = 0;      // tokens evaluated / T, summed over blocks
};

// noise: (N, T, D) standard normal, fp32 on the model's device, in image token order. labels: N, or
// empty for an unconditional model. Throws Error when the strategy does not fit the model.
SampleResult sample(const Model& model, const at::Tensor& noise, const Labels& labels,
                    const SampleOptions& options);

}  // namespace tarflow
