// Tensors of GPUs from all ranks to rank 0, and sums over ranks, by NCCL. In a build without CUDA
// there is none.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "framework/dist/store_link.h"

namespace tarflow::dist {

// Its functions block; whoever must not wait calls them on another thread.
class GpuGather {
 public:
  virtual ~GpuGather() = default;
  // Bytes of the same number from every rank: on rank 0 those of all, by rank; nothing elsewhere.
  virtual std::vector<at::Tensor> gather(const at::Tensor& bytes,
                                         const std::function<bool()>& given_up) = 0;
  // Begins to add up a tensor of all ranks, in place, after what the current stream was given so
  // far. finish_sums() returns when all that were begun are there; what the current stream is given
  // then comes after them.
  virtual void begin_sum(const at::Tensor& tensor) = 0;
  virtual void finish_sums(const std::function<bool()>& given_up) = 0;
};

// Throws Error in a build without CUDA. `limit`: of one call.
std::unique_ptr<GpuGather> nccl_gather(const StoreLink& link, int rank, int size,
                                       const at::Device& device, std::chrono::milliseconds limit);

}  // namespace tarflow::dist
