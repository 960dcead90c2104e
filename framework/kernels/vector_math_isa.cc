// This file is compiled once per instruction set. TARFLOW_ISA is the namespace of a compilation.
// Only the table has external linkage: otherwise the linker could replace a function of one
// instruction set by that of another.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "framework/kernels/vector_math.h"

namespace tarflow::kernels::TARFLOW_ISA {
namespace {

// exp(x) = 2^n e^r with |r| <= ln2/2, where e^r is a polynomial of degree 6 (relative error below
// 2e-7). Overflow gives infinity and NaN stays NaN, so a diverging iteration is visible.
inline float exp_one(float unclamped) {
  float x = unclamped < -87.3f ? -87.3f : unclamped;
  x = x > 88.3f ? 88.3f : x;
  const float n = std::nearbyint(x * 1.44269504088896341f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return unclamped > 88.72f ? INFINITY : p * scale;
}

// erf(x) by a rational approximation on [-4, 4] (error below 5e-7). Beyond this interval erf(x) is
// +-1 in float32.
inline float erf_one(float x) {
  x = x < -4.0f ? -4.0f : x;
  x = x > 4.0f ? 4.0f : x;
  const float y = x * x;
  float p = -2.72614225801306e-10f;
  p = p * y + 2.77068142495902e-08f;
  p = p * y + -2.10102402082508e-06f;
  p = p * y + -5.69250639462346e-05f;
  p = p * y + -7.34990630326855e-04f;
  p = p * y + -2.95459980854025e-03f;
  p = p * y + -1.60960333262415e-02f;
  float q = -1.45660718464996e-05f;
  q = q * y + -2.13374055278905e-04f;
  q = q * y + -1.68282697438203e-03f;
  q = q * y + -7.37332916720468e-03f;
  q = q * y + -1.42647390514189e-02f;
  return x * p / q;
}

// One vector register of floats.
#ifdef __AVX512F__
constexpr int kLanes = 16, kRows = 14;  // 14 x 2 sums, 2 weights and 1 input in 32 registers
#elif defined(__AVX2__)
constexpr int kLanes = 8, kRows = 6;  // 6 x 2 sums, 2 weights and 1 input in 16 registers
#else
constexpr int kLanes = 4, kRows = 6;
#endif
constexpr int kPanel = 2 * kLanes;  // outputs computed together
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

// Stores the weights in panels of kPanel outputs. A panel has one row of kPanel weights per input.
// Its missing outputs are zeros.
int64_t packed_size(int64_t outs, int64_t ins) {
  return (outs + kPanel - 1) / kPanel * kPanel * ins;
}

void pack(const float* weight, int64_t outs, int64_t ins, float* packed) {
  for (int64_t first = 0; first < outs; first += kPanel) {
    for (int64_t i = 0; i < ins; ++i) {
      for (int64_t o = first; o < first + kPanel; ++o)
        *packed++ = o < outs ? weight[o * ins + i] : 0;
    }
  }
}

// Computes Rows x kPanel outputs. The sums stay in registers over all inputs.
template <int Rows>
void multiply_panel(const float* in, const float* packed, float* out, int64_t ins, int64_t outs,
                    int64_t columns, bool add) {
  Lanes low[Rows] = {}, high[Rows] = {};
  for (int64_t i = 0; i < ins; ++i, packed += kPanel) {
    const Lanes w0 = *reinterpret_cast<const Lanes*>(packed);
    const Lanes w1 = *reinterpret_cast<const Lanes*>(packed + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const float x = in[r * ins + i];
      low[r] += x * w0;
      high[r] += x * w1;
    }
  }
  // Unrolled, so that the sums never leave their registers.
  if (columns == kPanel) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      Lanes* to = reinterpret_cast<Lanes*>(out + r * outs);
      to[0] = add ? to[0] + low[r] : low[r];
      to[1] = add ? to[1] + high[r] : high[r];
    }
    return;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    float sums[kPanel];
    std::memcpy(sums, &low[r], sizeof low[r]);
    std::memcpy(sums + kLanes, &high[r], sizeof high[r]);
    float* to = out + r * outs;
    for (int64_t c = 0; c < columns; ++c) to[c] = add ? to[c] + sums[c] : sums[c];
  }
}

using PanelFunction = void (*)(const float*, const float*, float*, int64_t, int64_t, int64_t, bool);

template <int... Rows>
constexpr auto panel_functions(std::integer_sequence<int, Rows...>) {
  return std::array<PanelFunction, sizeof...(Rows)>{multiply_panel<Rows + 1>...};
}

void multiply(const float* in, const float* packed, float* out, int64_t rows, int64_t ins,
              int64_t outs, bool add) {
  static constexpr auto kFunctions = panel_functions(std::make_integer_sequence<int, kRows>());
  for (int64_t row = 0; row < rows; row += kRows) {
    const int64_t count = rows - row < kRows ? rows - row : kRows;
    const float* panel = packed;
    for (int64_t first = 0; first < outs; first += kPanel, panel += kPanel * ins) {
      const int64_t columns = outs - first < kPanel ? outs - first : kPanel;
      kFunctions[static_cast<size_t>(count - 1)](in + row * ins, panel, out + row * outs + first,
                                                 ins, outs, columns, add);
    }
  }
}

void add_bias(float* h, const float* bias, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r, h += columns) {
    for (int64_t c = 0; c < columns; ++c) h[c] += bias[c];
  }
}

void bias_layer_norm(float* h, const float* bias, const float* weight, const float* shift, float* y,
                     int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r, h += columns, y += columns) {
    if (bias) {
      for (int64_t c = 0; c < columns; ++c) h[c] += bias[c];
    }
    float sum = 0;
    for (int64_t c = 0; c < columns; ++c) sum += h[c];
    const float mean = sum / static_cast<float>(columns);
    float squares = 0;  // of distances from the mean, to avoid cancellation
    for (int64_t c = 0; c < columns; ++c) squares += (h[c] - mean) * (h[c] - mean);
    if (!std::isfinite(squares)) {
      std::memcpy(y, shift, static_cast<size_t>(columns) * sizeof(float));
      continue;
    }
    const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(columns) + 1e-5f);
    for (int64_t c = 0; c < columns; ++c) y[c] = (h[c] - mean) * inverse * weight[c] + shift[c];
  }
}

void bias_gelu(float* x, const float* bias, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r, x += columns) {
    for (int64_t c = 0; c < columns; ++c) {
      const float v = x[c] + bias[c];
      x[c] = 0.5f * v * (1.0f + erf_one(v * 0.70710678118654752f));
    }
  }
}

// scores[0..count) -> exp(scores - max); returns 1 / their sum.
inline float softmax_weights(float* scores, int64_t count) {
  float largest = scores[0];
  for (int64_t i = 1; i < count; ++i) largest = scores[i] > largest ? scores[i] : largest;
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    scores[i] = exp_one(scores[i] - largest);
    sum += scores[i];
  }
  return 1.0f / sum;
}

void causal_softmax(float* scores, int64_t rows, int64_t first, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, scores += stride) {
    const int64_t count = first + r;
    const float inverse = softmax_weights(scores, count);
    for (int64_t i = 0; i < count; ++i) scores[i] *= inverse;
    for (int64_t i = count; i < stride; ++i) scores[i] = 0;
  }
}

void attend_one(const float* query, const float* keys, const float* values, int64_t count,
                float* scores, float* out) {
  for (int64_t k = 0; k < count; ++k) {
    const float* key = keys + 64 * k;
    float sum = 0;
    for (int c = 0; c < 64; ++c) sum += query[c] * key[c];
    scores[k] = sum;
  }
  const float inverse = softmax_weights(scores, count);
  float mixed[64] = {};
  for (int64_t k = 0; k < count; ++k) {
    const float* value = values + 64 * k;
    const float weight = scores[k];
    for (int c = 0; c < 64; ++c) mixed[c] += weight * value[c];
  }
  for (int c = 0; c < 64; ++c) out[c] = mixed[c] * inverse;
}

void bias_scale(const float* in, const float* bias, float scale, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = (in[i] + bias[i]) * scale;
}

double update_token(const float* outputs, const float* unconditional, float weight, const float* z,
                    float clamp, float* x, int64_t width) {
  float squares = 0;
  const float limit = clamp > 0 ? clamp : INFINITY;
  for (int64_t d = 0; d < width; ++d) {
    float a = outputs[d], g = outputs[width + d];
    if (unconditional) {
      a += weight * (a - unconditional[d]);
      g += weight * (g - unconditional[width + d]);
    }
    float next = exp_one(a) * z[d] + g;
    next = next < -limit ? -limit : next;
    next = next > limit ? limit : next;
    const float change = next - x[d];
    squares += change * change;
    x[d] = next;
  }
  return squares;
}

}  // namespace

extern const VectorMath kTable;
const VectorMath kTable = {bias_layer_norm, add_bias,    bias_gelu, causal_softmax,
                           packed_size,     pack,        multiply,  attend_one,
                           bias_scale,      update_token};

}  // namespace tarflow::kernels::TARFLOW_ISA
