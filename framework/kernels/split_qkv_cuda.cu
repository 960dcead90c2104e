#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/split_qkv.h"

namespace tarflow::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWidth = 64;  // of a head

struct Shape {
  int64_t batch, n, heads, length, images;
  DevicePosition place;
};

// 16 bytes a thread, of keys and values: an item is (row, key or value, head, part of a head).
template <typename T>
__global__ void store_kernel(const T* qkv, T* keys, T* values, const int* stopped, Shape shape) {
  constexpr int kParts = kWidth / kVectorOf<T>;
  using Group = Vector<T, kVectorOf<T>>;
  const int64_t first = shape.place.token(), stride = int64_t{gridDim.x} * kThreads;
  const int64_t of_row = 2 * shape.heads * kParts, items = shape.batch * shape.n * of_row;
  for (int64_t item = int64_t{blockIdx.x} * kThreads + threadIdx.x; item < items; item += stride) {
    const int64_t row = item / of_row, within = item % of_row;
    const int64_t part = within % kParts, head = within / kParts % shape.heads;
    const bool value = within >= shape.heads * kParts;
    const int64_t token = first + row % shape.n, b = row / shape.n;
    if (token >= shape.length || (stopped && stopped[b < shape.images ? b : b - shape.images]))
      continue;
    const Group group = reinterpret_cast<const Group*>(
        qkv)[row * 3 * shape.heads * kParts + shape.heads * kParts + within];
    Group* const cache = reinterpret_cast<Group*>(value ? values : keys);
    cache[((b * shape.heads + head) * shape.length + token) * kParts + part] = group;
  }
}

// The queries of rows images .. B - 1.
template <typename T>
__global__ void scale_kernel(T* qkv, float scale, Shape shape) {
  using Group = Vector<T, kVectorOf<T>>;
  const int64_t of_row = shape.heads * kWidth / kVectorOf<T>,
                stride = int64_t{gridDim.x} * kThreads;
  const int64_t items = (shape.batch - shape.images) * shape.n * of_row;
  for (int64_t item = int64_t{blockIdx.x} * kThreads + threadIdx.x; item < items; item += stride) {
    const int64_t row = shape.images * shape.n + item / of_row;
    Group& group = reinterpret_cast<Group*>(qkv)[row * 3 * of_row + item % of_row];
    Group scaled = group;
#pragma unroll
    for (int k = 0; k < kVectorOf<T>; ++k) {
      scaled.at[k] = from_float<T>(as_float(scaled.at[k]) * scale);
    }
    group = scaled;
  }
}

template <typename T>
void launch(const SplitQkv& work) {
  const Shape shape{work.qkv.size(0), work.qkv.size(1),
                    work.qkv.size(3), work.keys.defined() ? work.keys.size(2) : 0,
                    work.images,      on_device(work.place)};
  const int64_t queries = shape.n * shape.heads * kWidth / kVectorOf<T>;  // vectors an image
  if (work.keys.defined()) {
    store_kernel<T><<<blocks_for(2 * shape.batch * queries, kThreads), kThreads, 0, stream()>>>(
        data_of<T>(work.qkv), out_of<T>(work.keys), out_of<T>(work.values), flag_of(work.stopped),
        shape);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  if (work.query_scale != 1 && shape.batch > shape.images) {
    const int64_t vectors = (shape.batch - shape.images) * queries;
    scale_kernel<T><<<blocks_for(vectors, kThreads), kThreads, 0, stream()>>>(
        out_of<T>(work.qkv), static_cast<float>(work.query_scale), shape);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
}

}  // namespace

void split_qkv_cuda(const SplitQkv& work) {
  const c10::cuda::CUDAGuard guard(work.qkv.device());
  require_contiguous({work.qkv, work.keys, work.values});
  TORCH_CHECK(work.qkv.size(2) == 3 && work.qkv.size(4) == kWidth, "qkv is (B, n, 3, heads, 64)");
  by_type(work.qkv, [&](auto type) { launch<decltype(type)>(work); });
}

}  // namespace tarflow::kernels
