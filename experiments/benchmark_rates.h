// What the device reaches at the building blocks of sampling, to put its times beside.
#pragma once

#include <cstdint>
#include <functional>

#include "framework/model/weights.h"

namespace tarflow::experiments {

// Rates of random data in the model's compute type, at the model's shapes.
struct Rates {
  double gemm = 0;       // FLOP/s of an MLP's first layer, many tokens at once
  double attention = 0;  // FLOP/s of causal attention over all T tokens
  double segment_attention =
      0;            // FLOP/s of T/8 queries over the T/2 keys before them and their own
  double copy = 0;  // bytes/s, read and written
};

// `images` sequences at once in the attentions. Takes about a second.
Rates measure_rates(const Model& model, int64_t images);

// Seconds of one call, a mean over as many as make a measurement; warmed up before.
double seconds_a_call(const at::Device& device, const std::function<void()>& call);

}  // namespace tarflow::experiments
