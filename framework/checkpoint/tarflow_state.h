// The state dict of a TarFlow model: its shape from its tensors, and the tensors a shape asks for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framework/checkpoint/checkpoint.h"
#include "framework/core/shape.h"

namespace tarflow::checkpoint {

// What a file name DATASET_model_P_C_K_L_EPS.pth states ("_model" may be left out).
struct ModelFileName {
  std::string dataset;
  int patch_size = 0, channels = 0, blocks = 0, layers = 0;
  double noise_std = 0;
};
std::optional<ModelFileName> parse_model_filename(const std::filesystem::path& path);

// A tensor of the state dict (method.md section 1).
struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
  bool required = true;  // attn_mask is a buffer whose content is never used, and may be absent
};
// In the order in which PyTorch writes the module.
std::vector<ExpectedTensor> expected_tensors(const ModelShape& shape);

// The part of a checkpoint that is a TarFlow state dict: all of it, or what lies below a prefix
// ("model.", "module."). Throws Error when there is none, or several below different prefixes.
Checkpoint find_state(const Checkpoint& checkpoint);

// The shape, read off the tensors of a state dict as found by find_state. noise_std is the file
// name's when the name states the same P, C, K and L, else 0. Throws Error for a model that
// preserves volume, and for shapes that no TarFlow has.
ModelShape read_model_shape(const Checkpoint& state);

// Throws one Error that lists every missing, unexpected and misshaped tensor with expected and
// found shapes.
void check_state(const Checkpoint& state, const ModelShape& shape);

// A state dict that has passed all of the above.
struct TarflowState {
  Checkpoint tensors;
  ModelShape shape;
};
TarflowState as_tarflow(const Checkpoint& checkpoint);
TarflowState open_tarflow(const std::filesystem::path& path);  // as_tarflow(Checkpoint::open(path))

}  // namespace tarflow::checkpoint
