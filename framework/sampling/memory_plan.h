// The memory that sampling will take.
#pragma once

#include <cstdint>
#include <string>

#include "framework/core/shape.h"
#include "framework/core/strategy.h"
#include "framework/sampling/evaluator.h"

namespace tarflow {

// Bytes on the device.
struct MemoryPlan {
  int64_t images = 0;       // at once
  int64_t weights = 0;      // of all blocks, with an evaluator's own copy
  int64_t cache = 0;        // keys and values of one block's layers, both passes
  int64_t activations = 0;  // of the longest evaluation of the strategy, with the iterates
  int64_t gradient = 0;     // of self-denoising: one block's activations for its derivative

  // Without the weights. The cache stays allocated while the gradient is computed.
  int64_t working() const { return cache + (activations > gradient ? activations : gradient); }
  int64_t total() const { return weights + working(); }
  std::string str() const;  // "64 images: 1.23 GB weights, ... in all"
};

// The plan of the evaluator that make_evaluator makes for the model.
MemoryPlan memory_plan(const Model& model, int64_t images, const Guidance& guidance,
                       const Strategy& strategy, bool self_denoising);

// The number of images at once: `images`, halved until their working memory is at most `bytes`; at
// least 1.
int64_t images_within(int64_t bytes, int64_t images, const Model& model, const Guidance& guidance,
                      const Strategy& strategy, bool self_denoising);

}  // namespace tarflow
