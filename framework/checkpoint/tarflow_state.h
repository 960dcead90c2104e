// The state dict of a TarFlow model: its shape from its tensors, and the tensors a shape asks for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "framework/checkpoint/checkpoint.h"
#include "framework/core/shape.h"

namespace tarflow::checkpoint {

// A tensor of the state dict (method.md section 1).
struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
  bool required = true;  // attn_mask is a buffer whose content is never used, and may be absent
};
// In the order in which PyTorch writes the module.
std::vector<ExpectedTensor> expected_tensors(const ModelShape& shape);

// A state dict of a TarFlow in a checkpoint.
struct FoundState {
  Checkpoint tensors;   // named as in expected_tensors
  std::string weights;  // its name in a file of several, "" where it is the only one
};

// All of a checkpoint, or what lies below a prefix ("model.", "state_dict."). What wrappers of
// PyTorch add to a key at any place (`module`, `_orig_mod`, ...) is left out. Of several state
// dicts `weights` names one: "ema" for {"ema": {...}} and {"state_dict": {"ema": {...}}}, "root"
// for one whose keys have no prefix. Throws Error when there is none, when `weights` names none or
// several, and for two tensors that have one name without their wrappers.
FoundState find_state(const Checkpoint& checkpoint, std::string_view weights = "");

// The shape, read off the tensors of a state dict as found by find_state. noise_std is what the
// file's name states, else 0. Throws Error for shapes that no TarFlow has.
ModelShape read_model_shape(const Checkpoint& state);

// Throws one Error that lists every missing, unexpected and misshaped tensor with expected and
// found shapes.
void check_state(const Checkpoint& state, const ModelShape& shape);

// Throws Error that lists all parts of the shape in which the file's name and its tensors differ.
void check_name(const std::filesystem::path& path, const ModelShape& shape);

// A state dict that has passed all of the above.
struct TarflowState {
  Checkpoint tensors;
  ModelShape shape;
  std::string weights;  // as in FoundState
};
TarflowState as_tarflow(const Checkpoint& checkpoint, std::string_view weights = "");
TarflowState open_tarflow(const std::filesystem::path& path, std::string_view weights = "");

}  // namespace tarflow::checkpoint
