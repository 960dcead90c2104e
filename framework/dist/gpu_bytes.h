// Tensors of GPUs as one row of bytes, beside a message that describes them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "framework/dist/pack.h"

namespace tarflow::dist {

struct SplitTensors {
  Tensors message;  // those on the CPU, and what describes the others; see joined()
  Tensors on_gpu;
};
SplitTensors split(const Tensors& tensors);

// How many bytes the tensors on GPUs take that a message describes.
int64_t gpu_bytes(const Tensors& message);
// Those tensors one after another; `length` bytes, gpu_bytes at least.
at::Tensor flat_bytes(const Tensors& on_gpu, int64_t length, const at::Device& device);
// The tensors as they were before split(). Those of GPUs are where `bytes` is and share its memory.
Tensors joined(const Tensors& message, const at::Tensor& bytes);

}  // namespace tarflow::dist
