#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/residual_norm.h"

namespace tarflow::kernels {
namespace {

constexpr int kWarps = 4;       // warps per block in norm_rows_kernel
constexpr int kWarpQuads = 32;  // quads (four channels) that a warp loads at once, one per lane
constexpr float kEpsilon = 1e-5f;
constexpr int64_t kFewRows = 4096;  // up to this, latency of memory costs more than bandwidth

using Quad = Vector<float, 4>;

// LayerNorm subtracts `mean` from a row and multiplies the result by `scale`. Without a norm they
// are 0 and 1.
struct Moments {
  float mean = 0, scale = 1;
  bool finite = true;

  Moments() = default;
  // `squares`: the sum of the squared distances from the mean.
  __device__ Moments(float mean_of_row, float squares, int channels)
      : mean(mean_of_row),
        scale(rsqrtf(squares / static_cast<float>(channels) + kEpsilon)),
        finite(isfinite(squares)) {}
};

template <typename T>
struct Arguments {
  float* h;
  const T* added;
  const float *shift, *weight, *bias;
  T* out;
  int64_t rows;
  int channels;
  bool store;

  // Channels [4 quad, 4 quad + 4) of h + added + shift. Stores them in h if `store` is set.
  __device__ Quad sum(int64_t row, int quad) const {
    Quad* const place = reinterpret_cast<Quad*>(h + row * channels) + quad;
    Quad value = *place;
    if (added) {
      const auto more = reinterpret_cast<const Vector<T, 4>*>(added + row * channels)[quad];
#pragma unroll
      for (int j = 0; j < 4; ++j) value.item[j] += as_float(more.item[j]);
    }
    if (shift) {
      const Quad more = reinterpret_cast<const Quad*>(shift)[quad];
#pragma unroll
      for (int j = 0; j < 4; ++j) value.item[j] += more.item[j];
    }
    if (store) *place = value;
    return value;
  }

  // A row without a finite variance gives the bias (layer_norm.h says why).
  __device__ void leave(int64_t row, int quad, const Quad& value, const Moments& of, const Quad& w,
                        const Quad& b) const {
    Vector<T, 4> result;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float normed = (value.item[j] - of.mean) * of.scale * w.item[j] + b.item[j];
      result.item[j] = from_float<T>(of.finite ? normed : b.item[j]);
    }
    reinterpret_cast<Vector<T, 4>*>(out + row * channels)[quad] = result;
  }

  __device__ Quad weight_of(int quad) const {
    return weight ? reinterpret_cast<const Quad*>(weight)[quad] : Quad{{1, 1, 1, 1}};
  }
  __device__ Quad bias_of(int quad) const {
    return weight ? reinterpret_cast<const Quad*>(bias)[quad] : Quad{};
  }
};

__device__ float warp_sum(float value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  return value;
}

// For many rows: one warp per row, which it holds in registers. Lane i holds quads i + 32 k for
// k < kQuads.
template <typename T, int kQuads>
__global__ void __launch_bounds__(32 * kWarps) norm_rows_kernel(Arguments<T> a) {
  const int lane = threadIdx.x % 32;
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= a.rows) return;  // the whole warp
  const int quads = a.channels / 4;
  Quad value[kQuads];
  float sum = 0;
#pragma unroll
  for (int k = 0; k < kQuads; ++k) {
    const int quad = lane + kWarpQuads * k;
    if (quad >= quads) continue;
    value[k] = a.sum(row, quad);
    for (int j = 0; j < 4; ++j) sum += value[k].item[j];
  }
  Moments moments;
  if (a.weight) {
    const float mean = warp_sum(sum) / static_cast<float>(a.channels);
    float squares = 0;
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      if (lane + kWarpQuads * k >= quads) continue;
      for (int j = 0; j < 4; ++j) {
        const float away = value[k].item[j] - mean;
        squares += away * away;
      }
    }
    moments = Moments(mean, warp_sum(squares), a.channels);
  }
#pragma unroll
  for (int k = 0; k < kQuads; ++k) {
    const int quad = lane + kWarpQuads * k;
    if (quad < quads) a.leave(row, quad, value[k], moments, a.weight_of(quad), a.bias_of(quad));
  }
}

// For few rows, with a multiple of 128 channels: one block per row and one thread per quad, so that
// all loads start at once. Pairs of threads merge their means and squares. So warps exchange data
// only once.
template <typename T>
__global__ void norm_row_kernel(Arguments<T> a) {
  const int quad = threadIdx.x, lane = quad % 32, warp = quad / 32, warps = blockDim.x / 32;
  const int64_t row = blockIdx.x;
  const Quad w = a.weight_of(quad), b = a.bias_of(quad), value = a.sum(row, quad);
  if (!a.weight) return a.leave(row, quad, value, Moments(), w, b);
  float mean = 0, squares = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j) mean += 0.25f * value.item[j];
#pragma unroll
  for (int j = 0; j < 4; ++j) squares += (value.item[j] - mean) * (value.item[j] - mean);
  float half = 2;  // half of the number of channels that each of the two threads has
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2, half *= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, mean, offset), apart = other - mean;
    squares += __shfl_xor_sync(0xffffffffu, squares, offset) + apart * apart * half;
    mean = 0.5f * (mean + other);
  }
  __shared__ float means[32], parts[32];
  if (lane == 0) {
    means[warp] = mean;
    parts[warp] = squares;
  }
  __syncthreads();
  mean = squares = 0;
  for (int i = 0; i < warps; ++i) mean += means[i];
  mean /= static_cast<float>(warps);
  for (int i = 0; i < warps; ++i) {
    squares += parts[i] + 128 * (means[i] - mean) * (means[i] - mean);
  }
  a.leave(row, quad, value, Moments(mean, squares, a.channels), w, b);
}

template <typename T, int kQuads>
void launch_rows(const Arguments<T>& arguments) {
  const unsigned blocks = static_cast<unsigned>((arguments.rows + kWarps - 1) / kWarps);
  norm_rows_kernel<T, kQuads><<<blocks, 32 * kWarps, 0, stream()>>>(arguments);
}

template <typename T>
void launch(const ResidualNorm& work) {
  const Arguments<T> a{out_of<float>(work.h),
                       data_of<T>(work.added),
                       data_of<float>(work.shift),
                       data_of<float>(work.weight),
                       data_of<float>(work.bias),
                       out_of<T>(work.out),
                       work.h.size(0),
                       static_cast<int>(work.h.size(1)),
                       work.store};
  if (a.rows <= kFewRows && a.channels % 128 == 0) {
    norm_row_kernel<T><<<static_cast<unsigned>(a.rows), a.channels / 4, 0, stream()>>>(a);
    return;
  }
  const int wanted = (a.channels + 127) / 128;
  if (wanted <= 1) return launch_rows<T, 1>(a);
  if (wanted <= 2) return launch_rows<T, 2>(a);
  if (wanted <= 4) return launch_rows<T, 4>(a);
  if (wanted <= 6) return launch_rows<T, 6>(a);
  if (wanted <= 8) return launch_rows<T, 8>(a);
  if (wanted <= 16) return launch_rows<T, 16>(a);
  launch_rows<T, 32>(a);
}

}  // namespace

void residual_norm_cuda(const ResidualNorm& work) {
  const c10::cuda::CUDAGuard guard(work.h.device());
  require_contiguous({work.h, work.added, work.shift, work.weight, work.bias, work.out});
  const int64_t channels = work.h.size(1);
  TORCH_CHECK(channels % 4 == 0 && channels <= kMostNormChannels,
              "residual_norm needs a multiple of 4 channels, at most ", kMostNormChannels);
  if (work.h.size(0) == 0) return;
  by_type(work.out, [&](auto type) { launch<decltype(type)>(work); });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace tarflow::kernels
