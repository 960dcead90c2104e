// The arithmetic of stream_norm.h on a GPU, as one thread does it: a team of threads has a row, and
// thread i of it the quads (four channels) i, i + threads, ... . The team adds up what the threads
// return between two calls. A CPU's compiler takes it too, so that tests need no GPU.
#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>

#include <cmath>
#include <cstdint>

#include "framework/kernels/stream_norm.h"
#include "framework/tensor/host_device.h"

namespace tarflow::kernels {

// One instruction loads or stores it.
template <typename T>
struct alignas(4 * sizeof(T)) RowQuad {
  T item[4];
};

template <typename T>
TARFLOW_HD RowQuad<T>& quad_at(T* row, int quad) {
  return reinterpret_cast<RowQuad<T>*>(row)[quad];
}
template <typename T>
TARFLOW_HD const RowQuad<T>& quad_at(const T* row, int quad) {
  return reinterpret_cast<const RowQuad<T>*>(row)[quad];
}

// A thread of a team that has a row of `quads` quads.
struct TeamPlace {
  int thread, threads, quads;
  TARFLOW_HD int quad(int k) const { return thread + threads * k; }
  TARFLOW_HD bool has(int k) const { return quad(k) < quads; }
};

// T: float or c10::BFloat16, the compute type.
template <typename T>
struct StreamNormRows {
  const float* h;
  const T* added;  // null: nothing is added
  float* sum;      // null like `added`
  const float *weight, *bias;
  T* normed;
  float *mean, *inverse;
  int64_t rows;
  int channels;
};

// begin(); the team adds up: the sum; squares(); the team adds up; end().
template <typename T, int kQuads>
struct StreamNormThread {
  RowQuad<float> value[kQuads];

  // Stores h + added. Returns the sum of the thread's channels.
  TARFLOW_HD float begin(const StreamNormRows<T>& a, int64_t row, const TeamPlace& place) {
    const int64_t first = row * a.channels;
    float total = 0;
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      if (!place.has(k)) continue;
      const int quad = place.quad(k);
      value[k] = quad_at(a.h + first, quad);
      if (a.added) {
        const RowQuad<T> more = quad_at(a.added + first, quad);
        for (int j = 0; j < 4; ++j) value[k].item[j] += static_cast<float>(more.item[j]);
        quad_at(a.sum + first, quad) = value[k];
      }
      for (int j = 0; j < 4; ++j) total += value[k].item[j];
    }
    return total;
  }

  // Of the distances from the mean.
  TARFLOW_HD float squares(const TeamPlace& place, float mean) const {
    float total = 0;
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      if (!place.has(k)) continue;
      for (int j = 0; j < 4; ++j) {
        const float away = value[k].item[j] - mean;
        total += away * away;
      }
    }
    return total;
  }

  TARFLOW_HD void end(const StreamNormRows<T>& a, int64_t row, const TeamPlace& place, float mean,
                      float squares) const {
    const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(a.channels) + 1e-5f);
    if (place.thread == 0) {
      a.mean[row] = mean;
      a.inverse[row] = inverse;
    }
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      if (!place.has(k)) continue;
      const int quad = place.quad(k);
      const RowQuad<float> w = quad_at(a.weight, quad), b = quad_at(a.bias, quad);
      RowQuad<T> result;
      for (int j = 0; j < 4; ++j) {
        const float normed = (value[k].item[j] - mean) * inverse * w.item[j] + b.item[j];
        result.item[j] = static_cast<T>(normed);
      }
      quad_at(a.normed + row * a.channels, quad) = result;
    }
  }
};

template <typename T>
struct StreamNormBackwardRows {
  const float *sum, *mean, *inverse, *weight;
  const T* normed;    // gradient
  const float* past;  // null: 0
  float* h;           // gradient
  T* added;           // gradient; null: nothing was added, or h is it already
  float* partial;     // (teams, 3, channels): a team's sums over its rows for weight, bias, added
  int64_t rows;
  int channels;
};

struct GradientSums {
  float scaled, along;  // over a row, of g w and of g w y, where y is the normalised row
};

// start(); for each row begin(), the team adds up, end(); at last leave().
template <typename T, int kQuads>
struct StreamNormBackwardThread {
  RowQuad<float> weight[kQuads], weight_sum[kQuads], bias_sum[kQuads], added_sum[kQuads];
  // Of the row. All loads start in begin(), so that a row waits for memory once.
  RowQuad<float> y[kQuads], past[kQuads];
  RowQuad<T> given[kQuads];
  float inverse;

  TARFLOW_HD void start(const StreamNormBackwardRows<T>& a, const TeamPlace& place) {
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      weight_sum[k] = bias_sum[k] = added_sum[k] = RowQuad<float>{{0, 0, 0, 0}};
      if (place.has(k)) weight[k] = quad_at(a.weight, place.quad(k));
    }
  }

  TARFLOW_HD GradientSums begin(const StreamNormBackwardRows<T>& a, int64_t row,
                                const TeamPlace& place) {
    const int64_t first = row * a.channels;
    const float mean = a.mean[row];
    inverse = a.inverse[row];
    GradientSums total{0, 0};
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      if (!place.has(k)) continue;
      const int quad = place.quad(k);
      const RowQuad<float> x = quad_at(a.sum + first, quad);
      given[k] = quad_at(a.normed + first, quad);
      past[k] = a.past ? quad_at(a.past + first, quad) : RowQuad<float>{{0, 0, 0, 0}};
      for (int j = 0; j < 4; ++j) {
        const float g = static_cast<float>(given[k].item[j]), scaled = g * weight[k].item[j];
        y[k].item[j] = (x.item[j] - mean) * inverse;
        weight_sum[k].item[j] += g * y[k].item[j];
        bias_sum[k].item[j] += g;
        total.scaled += scaled;
        total.along += scaled * y[k].item[j];
      }
    }
    return total;
  }

  TARFLOW_HD void end(const StreamNormBackwardRows<T>& a, int64_t row, const TeamPlace& place,
                      const GradientSums& total) {
    const int64_t first = row * a.channels;
    const float count = static_cast<float>(a.channels), scaled_mean = total.scaled / count,
                along_mean = total.along / count;
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      if (!place.has(k)) continue;
      const int quad = place.quad(k);
      RowQuad<float> result;
      RowQuad<T> cast;
      for (int j = 0; j < 4; ++j) {
        const float scaled = static_cast<float>(given[k].item[j]) * weight[k].item[j];
        result.item[j] =
            past[k].item[j] + inverse * (scaled - scaled_mean - y[k].item[j] * along_mean);
        cast.item[j] = static_cast<T>(result.item[j]);
        added_sum[k].item[j] += static_cast<float>(cast.item[j]);
      }
      quad_at(a.h + first, quad) = result;
      if (a.added) quad_at(a.added + first, quad) = cast;
    }
  }

  TARFLOW_HD void leave(const StreamNormBackwardRows<T>& a, int64_t team,
                        const TeamPlace& place) const {
    float* const sums = a.partial + team * 3 * a.channels;
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      if (!place.has(k)) continue;
      const int quad = place.quad(k);
      quad_at(sums, quad) = weight_sum[k];
      quad_at(sums + a.channels, quad) = bias_sum[k];
      quad_at(sums + 2 * a.channels, quad) = added_sum[k];
    }
  }
};

// A team is a warp, or a whole block of more threads.
constexpr int kWarpTeam = 32;

template <int kTeam, int kQuadsOfAThread>
struct TeamShape {
  static constexpr int kThreads = kTeam, kQuads = kQuadsOfAThread;
};

// Calls launch(TeamShape) with the least shape that holds a row. More quads a thread would need so
// many registers, sums over rows included, that few threads fit.
template <typename Launch>
void by_width(int64_t channels, const Launch& launch) {
  TORCH_CHECK(channels > 0 && channels % 4 == 0 && channels <= kMostStreamChannels,
              "stream_norm needs a multiple of 4 channels, at most ", kMostStreamChannels);
  const int64_t quads = channels / 4;
  if (quads <= 32) return launch(TeamShape<kWarpTeam, 1>{});
  if (quads <= 64) return launch(TeamShape<kWarpTeam, 2>{});
  if (quads <= 128) return launch(TeamShape<128, 1>{});
  if (quads <= 256) return launch(TeamShape<256, 1>{});
  if (quads <= 512) return launch(TeamShape<256, 2>{});
  if (quads <= 1024) return launch(TeamShape<256, 4>{});
  launch(TeamShape<256, 8>{});
}

}  // namespace tarflow::kernels
