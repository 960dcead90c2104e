// Row-wise operations of a transformer block on CPUs. They are compiled once per instruction set.
// The program chooses one set when it starts. All matrices are row-major float32.
#pragma once

#include <cstdint>

namespace tarflow::kernels {

struct VectorMath {
  // h[r,:] += bias (not if bias is null), then y[r,:] = LayerNorm(h[r,:]) * weight + shift, eps
  // 1e-5. rows x columns. A row without a finite variance gives y = shift (kernels/layer_norm.h
  // says why).
  void (*bias_layer_norm)(float* h, const float* bias, const float* weight, const float* shift,
                          float* y, int64_t rows, int64_t columns);
  // h[r,:] += bias. rows x columns.
  void (*add_bias)(float* h, const float* bias, int64_t rows, int64_t columns);
  // x = gelu(x + bias), erf form. rows x columns.
  void (*bias_gelu)(float* x, const float* bias, int64_t rows, int64_t columns);
  // Causal softmax: row r has first + r valid columns of `stride`; the others become 0.
  void (*causal_softmax)(float* scores, int64_t rows, int64_t first, int64_t stride);
  // Weights (outs, ins) in the layout that `multiply` reads: packed_size(outs, ins) floats.
  int64_t (*packed_size)(int64_t outs, int64_t ins);
  void (*pack)(const float* weight, int64_t outs, int64_t ins, float* packed);
  // out (rows, outs) = in (rows, ins) W^T; if `add`, the product is added to out. The matrices have
  // no gaps between rows. Each output is one sum over ins in order, so it does not depend on the
  // number of rows.
  void (*multiply)(const float* in, const float* packed, float* out, int64_t rows, int64_t ins,
                   int64_t outs, bool add);
  // One query (64) over contiguous keys and values (count, 64) -> out (64). The caller has scaled
  // the query. scores: room for `count` floats.
  void (*attend_one)(const float* query, const float* keys, const float* values, int64_t count,
                     float* scores, float* out);
  // out[i] = (in[i] + bias[i]) * scale
  void (*bias_scale)(const float* in, const float* bias, float scale, float* out, int64_t count);
  // The Jacobi update of one token: x' = clamp(exp(a) z + g). outputs: (2D), a, then g. If
  // `unconditional` is not null, weight (a - a_unconditional) is added to a, and g likewise.
  // clamp <= 0: no clamp. Returns the sum of squared changes of x over D, which is added in fp32.
  double (*update_token)(const float* outputs, const float* unconditional, float weight,
                         const float* z, float clamp, float* x, int64_t width);
};

// The functions of the best instruction set that this CPU has.
const VectorMath& vector_math();
// The functions of every instruction set that this CPU has, the best last; for tests. Returns the
// number of entries written to `out`.
struct NamedVectorMath {
  const char* isa;
  const VectorMath* table;
};
int vector_math_variants(NamedVectorMath* out, int capacity);

}  // namespace tarflow::kernels
