// Code that the CUDA kernels share: conversions of the two compute types, vectors of 16 bytes,
// and launches.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <cuda_bf16.h>

#include <algorithm>
#include <cstdint>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

__device__ inline float as_float(float value) { return value; }
__device__ inline float as_float(__nv_bfloat16 value) { return __bfloat162float(value); }

template <typename T>
__device__ inline T from_float(float value);
template <>
__device__ inline float from_float<float>(float value) {
  return value;
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float value) {
  return __float2bfloat16(value);
}

// kCount neighbouring elements. One instruction loads or stores all of them.
template <typename T, int kCount>
struct alignas(sizeof(T) * kCount) Vector {
  T item[kCount];
};
template <typename T>
constexpr int kVectorOf = 16 / sizeof(T);  // elements in 16 bytes

// A Position in the form that CUDA kernels take.
struct DevicePosition {
  int64_t first;
  const int64_t* counter;
  __device__ int64_t token() const { return first + (counter ? *counter : 0); }
};
inline DevicePosition on_device(const Position& place) {
  return {place.first, place.counter.defined() ? place.counter.const_data_ptr<int64_t>() : nullptr};
}

inline const int* flag_of(const at::Tensor& stopped) {
  return stopped.defined() ? stopped.const_data_ptr<int>() : nullptr;
}

template <typename T>
const T* data_of(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<const T*>(tensor.const_data_ptr()) : nullptr;
}
template <typename T>
T* out_of(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

// The number of blocks of `threads` threads for a grid-stride loop over `work` items.
inline unsigned blocks_for(int64_t work, int64_t threads) {
  return static_cast<unsigned>(
      std::clamp<int64_t>((work + threads - 1) / threads, 1, int64_t{1} << 20));
}

inline cudaStream_t stream() { return c10::cuda::getCurrentCUDAStream(); }

// Calls launch(T{}), where T is the element type of `tensor`.
template <typename Launch>
void by_type(const at::Tensor& tensor, const Launch& launch) {
  if (tensor.scalar_type() == at::kFloat) {
    launch(float{});
  } else {
    TORCH_CHECK(tensor.scalar_type() == at::kBFloat16, "the type must be float32 or bfloat16");
    launch(__nv_bfloat16{});
  }
}

inline void require_contiguous(std::initializer_list<at::Tensor> tensors) {
  for (const at::Tensor& tensor : tensors) {
    TORCH_CHECK(!tensor.defined() || tensor.is_contiguous(), "tensors must be contiguous");
  }
}

}  // namespace tarflow::kernels
