// Tensors by name as bytes, for the way from one rank to another.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace tarflow::dist {

using Tensors = std::map<std::string, at::Tensor>;

// Names, element types, shapes and content of tensors of any device.
std::string pack(const Tensors& tensors);
// The way back, on the CPU. Throws Error for bytes that pack() did not make.
Tensors unpack(const std::string& bytes);

}  // namespace tarflow::dist
