#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/store_keys_values.h"

namespace tarflow::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWidth = 64;  // of a head

struct Shape {
  int64_t batch, images, n, heads, length;
  DevicePosition place;
};

// A thread copies items of 16 bytes. An item is (row, key or value, head, part of a head).
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
    if (token >= shape.length || (stopped && stopped[b % shape.images])) continue;
    const Group group = reinterpret_cast<const Group*>(
        qkv)[row * 3 * shape.heads * kParts + shape.heads * kParts + within];
    Group* const cache = reinterpret_cast<Group*>(value ? values : keys);
    cache[((b * shape.heads + head) * shape.length + token) * kParts + part] = group;
  }
}

// One block of threads for the keys, or the values, of one sequence in one layer: `vectors` times
// 16 bytes.
__global__ void clear_kernel(uint4* cache, const int* raised, int64_t images, int64_t vectors) {
  if (!raised[blockIdx.x % images]) return;
  uint4* const mine = cache + (int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * vectors;
  for (int64_t i = threadIdx.x; i < vectors; i += kThreads) mine[i] = make_uint4(0, 0, 0, 0);
}

template <typename T>
void launch(const KeysValues& work) {
  const int64_t batch = work.qkv.size(0);
  const Shape shape{batch,
                    work.stopped.defined() ? work.stopped.size(0) : batch,
                    work.qkv.size(1),
                    work.qkv.size(3),
                    work.keys.size(2),
                    on_device(work.place)};
  const int64_t vectors = 2 * shape.batch * shape.n * shape.heads * kWidth / kVectorOf<T>;
  store_kernel<T><<<blocks_for(vectors, kThreads), kThreads, 0, stream()>>>(
      data_of<T>(work.qkv), out_of<T>(work.keys), out_of<T>(work.values), flag_of(work.stopped),
      shape);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

void store_keys_values_cuda(const KeysValues& work) {
  const c10::cuda::CUDAGuard guard(work.qkv.device());
  require_contiguous({work.qkv, work.keys, work.values});
  TORCH_CHECK(work.qkv.size(2) == 3 && work.qkv.size(4) == kWidth, "qkv is (B, n, 3, heads, 64)");
  by_type(work.qkv, [&](auto type) { launch<decltype(type)>(work); });
}

void clear_keys_values_cuda(const at::Tensor& cache, const at::Tensor& raised) {
  const c10::cuda::CUDAGuard guard(cache.device());
  require_contiguous({cache, raised});
  const int64_t layers = cache.size(0) * 2, batch = cache.size(2);
  const int64_t bytes = cache.numel() / (layers * batch) * cache.element_size();
  const dim3 grid(static_cast<unsigned>(batch), static_cast<unsigned>(layers));
  clear_kernel<<<grid, kThreads, 0, stream()>>>(static_cast<uint4*>(cache.mutable_data_ptr()),
                                                flag_of(raised), raised.size(0), bytes / 16);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace tarflow::kernels
