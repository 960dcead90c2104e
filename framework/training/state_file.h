// A trained model as the published code saves it.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "framework/training/parameters.h"

namespace tarflow::training {

// Writes the state dict: the weights of `row`, `var` (T, D) and the masks, in float32, aside and
// renamed. torch.load(weights_only=True) reads it. One tensor is copied at a time. Throws Error
// when the file system refuses.
void write_state(const std::filesystem::path& path, const ParameterLayout& layout,
                 const at::Tensor& row, const at::Tensor& var);

}  // namespace tarflow::training
