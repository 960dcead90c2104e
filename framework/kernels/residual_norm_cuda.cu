#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/residual_norm.h"

namespace tarflow::kernels {
namespace {

constexpr int kWarps = 4;  // rows a block

__device__ float warp_sum(float value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  return value;
}

// A warp a row, held in registers: lane i has channels 4 (i + 32 k) .. + 3 for k < kQuads.
template <typename T, int kQuads>
__global__ void __launch_bounds__(32 * kWarps)
    norm_kernel(float* h, const T* added, const T* added_bias, const float* weight,
                const float* bias, T* out, int64_t rows, int channels) {
  const int lane = threadIdx.x % 32;
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= rows) return;  // whole warps
  using Quad = Vector<float, 4>;
  Quad* const stream = reinterpret_cast<Quad*>(h + row * channels);
  const int quads = channels / 4;
  Quad value[kQuads];
  float sum = 0;
#pragma unroll
  for (int k = 0; k < kQuads; ++k) {
    const int at = lane + 32 * k;
    if (at < quads) {
      value[k] = stream[at];
      if (added) {
        const auto more = reinterpret_cast<const Vector<T, 4>*>(added + row * channels)[at];
        const auto shift = reinterpret_cast<const Vector<T, 4>*>(added_bias)[at];
        for (int j = 0; j < 4; ++j) value[k].at[j] += as_float(more.at[j]) + as_float(shift.at[j]);
        stream[at] = value[k];
      }
      for (int j = 0; j < 4; ++j) sum += value[k].at[j];
    }
  }
  float mean = 0, scale = 1;
  if (weight) {
    mean = warp_sum(sum) / static_cast<float>(channels);
    float squares = 0;
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      if (lane + 32 * k < quads) {
        for (int j = 0; j < 4; ++j) {
          const float away = value[k].at[j] - mean;
          squares += away * away;
        }
      }
    }
    scale = rsqrtf(warp_sum(squares) / static_cast<float>(channels) + 1e-5f);
  }
#pragma unroll
  for (int k = 0; k < kQuads; ++k) {
    const int at = lane + 32 * k;
    if (at < quads) {
      Vector<T, 4> result;
      if (weight) {
        const Quad w = reinterpret_cast<const Quad*>(weight)[at],
                   b = reinterpret_cast<const Quad*>(bias)[at];
        for (int j = 0; j < 4; ++j) {
          result.at[j] = from_float<T>((value[k].at[j] - mean) * scale * w.at[j] + b.at[j]);
        }
      } else {
        for (int j = 0; j < 4; ++j) result.at[j] = from_float<T>(value[k].at[j]);
      }
      reinterpret_cast<Vector<T, 4>*>(out + row * channels)[at] = result;
    }
  }
}

template <typename T, int kQuads>
void launch(const ResidualNorm& work) {
  const int64_t rows = work.h.size(0);
  const unsigned blocks = static_cast<unsigned>((rows + kWarps - 1) / kWarps);
  norm_kernel<T, kQuads><<<blocks, 32 * kWarps, 0, stream()>>>(
      out_of<float>(work.h), data_of<T>(work.added), data_of<T>(work.added_bias),
      data_of<float>(work.weight), data_of<float>(work.bias), out_of<T>(work.out), rows,
      static_cast<int>(work.h.size(1)));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void launch(const ResidualNorm& work) {
  const int64_t wanted = (work.h.size(1) + 127) / 128;
  if (wanted <= 1) return launch<T, 1>(work);
  if (wanted <= 2) return launch<T, 2>(work);
  if (wanted <= 4) return launch<T, 4>(work);
  if (wanted <= 6) return launch<T, 6>(work);
  if (wanted <= 8) return launch<T, 8>(work);
  if (wanted <= 16) return launch<T, 16>(work);
  return launch<T, 32>(work);
}

}  // namespace

void residual_norm_cuda(const ResidualNorm& work) {
  const c10::cuda::CUDAGuard guard(work.h.device());
  require_contiguous({work.h, work.added, work.added_bias, work.weight, work.bias, work.out});
  const int64_t channels = work.h.size(1);
  TORCH_CHECK(channels % 4 == 0 && channels <= kMostNormChannels,
              "residual_norm takes channels in fours, at most ", kMostNormChannels);
  if (work.h.size(0) == 0) return;
  by_type(work.out, [&](auto type) { launch<decltype(type)>(work); });
}

}  // namespace tarflow::kernels
