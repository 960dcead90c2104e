// The shape of a TarFlow model and of the work it takes (method.md section 1).
#pragma once

#include <cstdint>
#include <string>

#include "framework/core/json.h"

namespace tarflow {

inline constexpr int kHeadWidth = 64;  // channels of one attention head, in every TarFlow model

struct ModelShape {
  int image_size = 0;    // H = W, pixels
  int patch_size = 0;    // P, pixels
  int channels = 0;      // C
  int blocks = 0;        // K
  int layers = 0;        // L, attention layers a block
  int classes = 0;       // 0: unconditional
  double noise_std = 0;  // epsilon; not in the file's tensors, 0 when unknown

  int tokens() const { return (image_size / patch_size) * (image_size / patch_size); }  // T
  int token_width() const { return 3 * patch_size * patch_size; }                       // D
  int heads() const { return channels / kHeadWidth; }

  // Floating point operations of one evaluation of one block for one token, attention over `keys`
  // keys: 2 per multiply-add of the linear layers and of QK and PV.
  double block_flops_per_token(double keys) const;
  // Those of sampling images that take `block_passes` passes of T tokens in all (BlockWork's tokens
  // evaluated / T, summed over blocks and images); a token attends to (T + 1) / 2 keys in the mean,
  // and guidance evaluates it twice.
  double sampling_flops(double block_passes, bool guided) const;
  // Elements of all weights.
  int64_t parameters() const;

  std::string str() const;  // "32px P4 C128 K8 L2, 10 classes"
  bool operator==(const ModelShape&) const = default;
};

Json to_json(const ModelShape& shape);
ModelShape shape_from_json(const Json& json);  // throws Error

}  // namespace tarflow
