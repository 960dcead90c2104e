// The shape of a TarFlow model and of the work it takes (method.md section 1).
#pragma once

#include <cstdint>
#include <string>

#include "framework/core/json.h"

namespace tarflow {

inline constexpr int kHeadWidth = 64;  // channels of one attention head, in every TarFlow model

// What evaluating a block takes, whatever computes it.
struct EvaluationCost {
  double linear_flops = 0;     // 2 per multiply-add of the linear layers
  double attention_flops = 0;  // the same of QK and PV, each query over the keys it may see
  double weight_bytes = 0;     // the block's linear weights, read once an evaluation
  double cache_bytes = 0;      // keys and values: all that are read, and those that are written

  double flops() const { return linear_flops + attention_flops; }
  double bytes() const { return weight_bytes + cache_bytes; }
  EvaluationCost& operator+=(const EvaluationCost& other);
};
EvaluationCost operator*(EvaluationCost cost, double times);

struct ModelShape {
  int image_size = 0;    // H = W, pixels
  int patch_size = 0;    // P, pixels
  int channels = 0;      // C
  int blocks = 0;        // K
  int layers = 0;        // L, attention layers a block
  int classes = 0;       // 0: unconditional
  double noise_std = 0;  // epsilon; not in the file's tensors, 0 when unknown
  int colours = 3;       // of the images: 3, or 1 for grey ones
  // Blocks shift and do not scale, a = 0: proj_out has D rows, xc alone.
  bool volume_preserving = false;

  int tokens() const { return (image_size / patch_size) * (image_size / patch_size); }  // T
  int token_width() const { return colours * patch_size * patch_size; }                 // D
  int output_width() const { return (volume_preserving ? 1 : 2) * token_width(); }  // of proj_out
  int heads() const { return channels / kHeadWidth; }

  // Floating point operations of one evaluation of one block for one token, attention over `keys`
  // keys: 2 per multiply-add of the linear layers and of QK and PV.
  double block_flops_per_token(double keys) const;
  // One evaluation of tokens [first, last) of a block over the cached [0, first), of `rows`
  // sequences in a type of `element` bytes; guidance has two rows an image.
  EvaluationCost evaluation_cost(int64_t first, int64_t last, int64_t rows, int element) const;
  // Elements of all weights.
  int64_t parameters() const;

  std::string str() const;  // "32px P4 C128 K8 L2, 10 classes"
  bool operator==(const ModelShape&) const = default;
};

Json to_json(const ModelShape& shape);
ModelShape shape_from_json(const Json& json);  // throws Error

}  // namespace tarflow
