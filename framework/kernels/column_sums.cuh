// Sums over rows in two stages without atomic additions, so that the same launch gives the same
// bits: teams of threads leave a row of partial sums each, and these are added in their order.
#pragma once

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <type_traits>

#include "framework/kernels/cuda_common.cuh"

namespace tarflow::kernels {

// Blocks of `threads` threads that the current GPU runs at the same time.
template <typename Kernel>
int64_t resident_blocks(Kernel kernel, int threads) {
  int device = 0, processors = 0, blocks = 0;
  C10_CUDA_CHECK(cudaGetDevice(&device));
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  C10_CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, 0));
  return std::max<int64_t>(int64_t{processors} * blocks, 1);
}

// Calls launch(T{}), where T is the element type of `tensor`, in the form that CPUs have as well.
template <typename Launch>
void by_common_type(const at::Tensor& tensor, const Launch& launch) {
  by_type(tensor, [&](auto type) {
    if constexpr (std::is_same_v<decltype(type), float>) {
      launch(float{});
    } else {
      launch(c10::BFloat16{});
    }
  });
}

inline void require_aligned(std::initializer_list<at::Tensor> tensors) {
  require_contiguous(tensors);
  for (const at::Tensor& tensor : tensors) {
    TORCH_CHECK(!tensor.defined() || reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0,
                "tensors must be aligned to 16 bytes");
  }
}

// partial: (parts, columns) fp32. Returns the sum over the parts, (columns) fp32.
at::Tensor sum_of_parts(const at::Tensor& partial);

}  // namespace tarflow::kernels
