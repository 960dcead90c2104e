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

// Whether an image's flag of `flags` (N) int32, on the CPU, is raised; none is where they are
// undefined.
inline bool raised(const at::Tensor& flags, int64_t image) {
  return flags.defined() && flags.const_data_ptr<int>()[image] != 0;
}

// The twins of a build without CUDA.
[[noreturn]] void no_cuda_kernels();

}  // namespace tarflow::kernels
