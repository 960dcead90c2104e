// The place in a sequence at which a kernel works.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

// Token first + *counter. A kernel reads the counter each time it runs. So one recorded graph
// serves every step of a sequence.
struct Position {
  int64_t first = 0;
  at::Tensor counter;  // (1) int64 on the device of the operands; undefined: 0

  // The token's index. Waits for the GPU if the counter is on one.
  int64_t token() const { return first + (counter.defined() ? counter.item<int64_t>() : 0); }
};

// Whether the flag of an image is raised (not 0). flags: (N) int32 on the CPU; if they are
// undefined, no flag is raised.
inline bool raised(const at::Tensor& flags, int64_t image) {
  return flags.defined() && flags.const_data_ptr<int>()[image] != 0;
}

// Throws Error. It stands for every CUDA kernel in a build without CUDA.
[[noreturn]] void no_cuda_kernels();

}  // namespace tarflow::kernels
