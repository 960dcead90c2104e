// Where in a sequence a kernel works.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

// Token first + *counter. A number that lies on the device is read each time the kernel runs, so
// that one recorded graph serves every step of a sequence.
struct Position {
  int64_t first = 0;
  at::Tensor counter;  // (1) int64 beside the operands, or undefined: 0

  // The number itself; waits for a GPU that is to tell it.
  int64_t token() const { return first + (counter.defined() ? counter.item<int64_t>() : 0); }
};

// A flag (1) int32, or undefined: not raised. For CPUs.
inline bool raised(const at::Tensor& flag) { return flag.defined() && flag.item<int>() != 0; }

// The twins of a build without CUDA.
[[noreturn]] void no_cuda_kernels();

}  // namespace tarflow::kernels
