// Untrained TarFlow checkpoints of any shape: for smoke runs, timings and tests where no trained
// file is at hand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "framework/checkpoint/dtype.h"
#include "framework/core/shape.h"

namespace tarflow::checkpoint {

// proj_out is drawn as PyTorch draws a linear layer, times this. The published code starts it at
// zero, which makes every block the identity: any strategy would converge in its first iteration,
// and timings or iteration counts would say nothing. At this scale xa and xc are around 0.15 rms,
// Jacobi gains most of a digit an iteration and 8 blocks keep samples near unit variance; from
// about 1 on they diverge.
inline constexpr double kProjOutScale = 0.35;

// Throws Error for a shape that no model can have.
void check_shape(const ModelShape& shape);

// What is stated of a checkpoint to be written; the rest is open.
struct StatedShape {
  std::optional<int> patch_size = {}, channels = {}, blocks = {}, layers = {};
  std::optional<double> noise_std = {};
};
struct CompleteShape {
  ModelShape shape;
  std::string warning;  // "" where the name and the shape agree
};
// Takes from the file's name what is not stated, and from `defaults` what neither tells. Throws
// Error with all values where the name contradicts what is stated. If all four sizes are stated,
// nothing of the shape is left to the name: then a wrong name is a warning, so that a file for a
// test can be made.
CompleteShape complete_shape(const std::filesystem::path& path, const StatedShape& stated,
                             const ModelShape& defaults);

// Writes the state dict of `shape` (noise_std is not part of it): linear layers uniform in
// +-1/sqrt(inputs), weights and biases; embeddings normal times 0.01 (a sum of uniforms, cut at 6
// sigma); norms 1 and 0; var 1; attn_mask the lower triangle. The values are a function of seed,
// tensor and element alone, made without the standard library's distributions, so any machine
// writes the same file. One tensor is in memory at a time. Throws Error for an impossible shape and
// a dtype other than kFloat32 and kBFloat16.
void write_untrained(const std::filesystem::path& path, const ModelShape& shape, uint64_t seed,
                     DType dtype);

// The same tensors without a file.
class UntrainedState {
 public:
  // Throws Error for an impossible shape.
  UntrainedState(const ModelShape& shape, uint64_t seed);
  // Elements [first, first + values.size()) of the tensor `name`, row-major. Throws
  // std::out_of_range for a tensor that the shape does not have.
  void read(const std::string& name, uint64_t first, std::span<float> values) const;

 private:
  std::map<std::string, std::function<float(uint64_t)>> values_;  // of an element's index
};

}  // namespace tarflow::checkpoint
