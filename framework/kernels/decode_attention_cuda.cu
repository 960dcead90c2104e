// The grid is (sequence and head, split of the keys). A group of lanes reads one key; each lane
// loads 16 bytes of it. Each group keeps its own softmax over the keys that it reads. At the end
// the kernel merges groups and warps. A second kernel merges splits.
#include <ATen/ops/empty.h>

#include <cmath>

#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/decode_attention.h"

namespace tarflow::kernels {
namespace {

constexpr int kWidth = 64;  // of a head
constexpr int kWarps = 4;
// The number of keys and values that a group loads at once. kMany serves whole tiles: only then is
// memory bandwidth the limit. kFew serves the remaining keys: a load beyond the last key is wasted.
constexpr int kMany = 8, kFew = 2;
constexpr int kPartial = kWidth + 2;  // floats per split: mixed values, maximum, sum
constexpr int64_t kLeastKeys = 64;    // per split, at least
constexpr int64_t kMostSplits = 32;

template <typename T>
struct Arguments {
  const T* qkv;
  T *keys, *values, *out;
  float* partial;  // (B heads, splits, kPartial); null for a single split
  const int* stopped;
  DevicePosition place;
  int64_t images, length;
  int heads;
  float scale, unconditional_scale;  // of scores, in units of log2
};

// A softmax over some keys. A key's weight is 2^(score - maximum). `sum` is the sum of the weights,
// `mixed` the weighted sum of the values.
template <int kCount>
struct Softmax {
  float maximum = -INFINITY, sum = 0, mixed[kCount] = {};

  // Adds the keys of another softmax. The result is exact if one of the two has no keys.
  __device__ void merge(float other_maximum, float other_sum, const float* other_mixed) {
    const float top = fmaxf(maximum, other_maximum), base = top == -INFINITY ? 0 : top;
    const float mine = exp2f(maximum - base), theirs = exp2f(other_maximum - base);
    sum = sum * mine + other_sum * theirs;
#pragma unroll
    for (int k = 0; k < kCount; ++k) mixed[k] = mixed[k] * mine + other_mixed[k] * theirs;
    maximum = top;
  }
};

template <typename T>
struct Lanes {
  static constexpr int kCount = kVectorOf<T>;                 // channels per lane
  static constexpr int kOfKey = kWidth / kCount;              // lanes per group
  static constexpr int kGroups = 32 / kOfKey;                 // groups per warp
  static constexpr int64_t kTile = kWarps * kGroups * kMany;  // keys that a block loads at once
  using Group = Vector<T, kCount>;

  // The product of the query and the key that the lane's group holds.
  __device__ static float product(const float* query, const Group& key) {
    float sum = 0;
#pragma unroll
    for (int k = 0; k < kCount; ++k) sum += query[k] * as_float(key.item[k]);
#pragma unroll
    for (int offset = kOfKey / 2; offset > 0; offset /= 2) {
      sum += __shfl_xor_sync(0xffffffffu, sum, offset);
    }
    return sum;
  }
};

template <typename T>
__device__ Vector<T, kVectorOf<T>> load(const T* from) {
  union {
    uint4 raw;
    Vector<T, kVectorOf<T>> group;
  } value;
  // Each key is read once, so the L2 cache need not keep it.
  value.raw = __ldcs(reinterpret_cast<const uint4*>(from));
  return value.group;
}

// Adds the group's part of the keys [begin, end) to `state`.
template <typename T, int kUnroll>
__device__ void attend(const T* keys, const T* values, const float* query, int64_t begin,
                       int64_t end, Softmax<kVectorOf<T>>& state) {
  using L = Lanes<T>;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int group = lane / L::kOfKey, channel = lane % L::kOfKey * L::kCount;
  constexpr int kAtOnce = L::kGroups * kUnroll;
  for (int64_t tile = begin + warp * kAtOnce; tile < end; tile += kWarps * kAtOnce) {
    typename L::Group key[kUnroll], value[kUnroll];
    const int64_t first = tile + group;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {  // beyond the end: the last key again
      const int64_t token = min(first + u * L::kGroups, end - 1);
      key[u] = load(keys + token * kWidth + channel);
      value[u] = load(values + token * kWidth + channel);
    }
    float score[kUnroll], top = state.maximum;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const float product = L::product(query, key[u]);
      score[u] = first + u * L::kGroups < end ? product : -INFINITY;
      top = fmaxf(top, score[u]);
    }
    const float base = top == -INFINITY ? 0 : top, shrink = exp2f(state.maximum - base);
    state.maximum = top;
    state.sum *= shrink;
#pragma unroll
    for (int k = 0; k < L::kCount; ++k) state.mixed[k] *= shrink;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const float weight = exp2f(score[u] - base);
      state.sum += weight;
#pragma unroll
      for (int k = 0; k < L::kCount; ++k) state.mixed[k] += weight * as_float(value[u].item[k]);
    }
  }
}

// Merges the groups of each warp, then the warps. The first kWidth threads write the block's
// result.
template <typename T>
__device__ void finish(const Arguments<T>& a, Softmax<kVectorOf<T>>& state) {
  using L = Lanes<T>;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int offset = L::kOfKey; offset < 32; offset *= 2) {
    float mixed[L::kCount];
    const float maximum = __shfl_xor_sync(0xffffffffu, state.maximum, offset);
    const float sum = __shfl_xor_sync(0xffffffffu, state.sum, offset);
#pragma unroll
    for (int k = 0; k < L::kCount; ++k) {
      mixed[k] = __shfl_xor_sync(0xffffffffu, state.mixed[k], offset);
    }
    state.merge(maximum, sum, mixed);
  }
  __shared__ float shared[kWarps][kPartial];
  if (lane < L::kOfKey) {
#pragma unroll
    for (int k = 0; k < L::kCount; ++k) shared[warp][lane * L::kCount + k] = state.mixed[k];
    if (lane == 0) {
      shared[warp][kWidth] = state.maximum;
      shared[warp][kWidth + 1] = state.sum;
    }
  }
  __syncthreads();
  const int channel = threadIdx.x;
  if (channel >= kWidth) return;
  Softmax<1> all;
  for (int w = 0; w < kWarps; ++w) {
    all.merge(shared[w][kWidth], shared[w][kWidth + 1], &shared[w][channel]);
  }
  if (!a.partial) {
    a.out[int64_t{blockIdx.x} * kWidth + channel] = from_float<T>(all.mixed[0] / all.sum);
    return;
  }
  float* const partial = a.partial + (int64_t{blockIdx.x} * gridDim.y + blockIdx.y) * kPartial;
  partial[channel] = all.mixed[0];
  if (channel == 0) {
    partial[kWidth] = all.maximum;
    partial[kWidth + 1] = all.sum;
  }
}

template <typename T>
__global__ void __launch_bounds__(32 * kWarps) decode_kernel(Arguments<T> a) {
  using L = Lanes<T>;
  const int64_t pair = blockIdx.x, b = pair / a.heads, head = pair % a.heads;
  const int64_t token = a.place.token();
  if (token < 0 || token >= a.length) return;
  const int lane = threadIdx.x % 32, channel = lane % L::kOfKey * L::kCount;
  const T* const row = a.qkv + (b * 3 * a.heads + head) * kWidth + channel;
  const int64_t part = int64_t{a.heads} * kWidth;  // from query to key, and from key to value

  float query[L::kCount];
  const typename L::Group raw = load(row);
#pragma unroll
  for (int k = 0; k < L::kCount; ++k) {
    query[k] = as_float(raw.item[k]) * (b < a.images ? a.scale : a.unconditional_scale);
  }
  T* const keys = a.keys + pair * a.length * kWidth;
  T* const values = a.values + pair * a.length * kWidth;
  const int64_t share = (token + gridDim.y - 1) / gridDim.y, begin = blockIdx.y * share;
  Softmax<L::kCount> state;
  const int64_t end = min(begin + share, token), count = max(end - begin, int64_t{0});
  const int64_t whole = begin + count / L::kTile * L::kTile;
  attend<T, kMany>(keys, values, query, begin, whole, state);
  attend<T, kFew>(keys, values, query, whole, end, state);

  if (blockIdx.y == gridDim.y - 1 && threadIdx.x < 32) {  // the new token itself
    const typename L::Group key = load(row + part), value = load(row + 2 * part);
    const float score = L::product(query, key);
    if (lane < L::kOfKey) {
      float mixed[L::kCount];
#pragma unroll
      for (int k = 0; k < L::kCount; ++k) mixed[k] = as_float(value.item[k]);
      state.merge(score, 1, mixed);
      if (!a.stopped || !a.stopped[b < a.images ? b : b - a.images]) {
        *reinterpret_cast<typename L::Group*>(keys + token * kWidth + channel) = key;
        *reinterpret_cast<typename L::Group*>(values + token * kWidth + channel) = value;
      }
    }
    __syncwarp();
  }
  finish<T>(a, state);
}

// One block per sequence and head; one thread per channel.
template <typename T>
__global__ void merge_kernel(const float* partial, T* out, int splits) {
  const float* const mine = partial + int64_t{blockIdx.x} * splits * kPartial;
  Softmax<1> all;
  for (int s = 0; s < splits; ++s) {
    const float* const split = mine + s * kPartial;
    all.merge(split[kWidth], split[kWidth + 1], split + threadIdx.x);
  }
  out[int64_t{blockIdx.x} * kWidth + threadIdx.x] = from_float<T>(all.mixed[0] / all.sum);
}

// Enough splits to fill the GPU, with at least kLeastKeys keys per split.
int64_t splits_for(int64_t pairs, int64_t length) {
  int device = 0, processors = 0;
  C10_CUDA_CHECK(cudaGetDevice(&device));
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  const int64_t wanted = (kSplitsPerProcessor * processors + pairs - 1) / pairs;
  return std::clamp<int64_t>(std::min(wanted, length / kLeastKeys), 1, kMostSplits);
}

template <typename T>
void launch(const DecodeAttention& work) {
  const int64_t heads = work.keys.size(1), pairs = work.keys.size(0) * heads;
  const int64_t splits = splits_for(pairs, work.keys.size(2));
  at::Tensor partial;
  if (splits > 1) {
    partial = at::empty({pairs, splits, kPartial}, work.keys.options().dtype(at::kFloat));
  }
  const double scale = 0.125 * M_LOG2E;
  const Arguments<T> arguments{data_of<T>(work.qkv),
                               out_of<T>(work.keys),
                               out_of<T>(work.values),
                               out_of<T>(work.out),
                               partial.defined() ? out_of<float>(partial) : nullptr,
                               flag_of(work.stopped),
                               on_device(work.place),
                               work.images,
                               work.keys.size(2),
                               static_cast<int>(heads),
                               static_cast<float>(scale),
                               static_cast<float>(scale * work.query_scale)};
  const dim3 grid(static_cast<unsigned>(pairs), static_cast<unsigned>(splits));
  decode_kernel<T><<<grid, 32 * kWarps, 0, stream()>>>(arguments);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  if (splits == 1) return;
  merge_kernel<T><<<static_cast<unsigned>(pairs), kWidth, 0, stream()>>>(
      out_of<float>(partial), out_of<T>(work.out), static_cast<int>(splits));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

void decode_attention_cuda(const DecodeAttention& work) {
  const c10::cuda::CUDAGuard guard(work.qkv.device());
  require_contiguous({work.qkv, work.keys, work.values, work.out});
  TORCH_CHECK(work.keys.size(3) == kWidth && work.qkv.numel() == 3 * work.out.numel(),
              "decode_attention needs heads of width 64");
  by_type(work.qkv, [&](auto type) { launch<decltype(type)>(work); });
}

}  // namespace tarflow::kernels
