// Counter-based random numbers, bitwise the same on CPU and GPU (Philox4x32-10, Salmon et al.
// 2011). Plain code that both compilers read; every operation is one correctly rounded IEEE double
// operation, and multiply-adds are kept apart (the file's compile options forbid contraction), so
// the bits cannot differ.
#pragma once

#include <cmath>
#include <cstdint>

#include "framework/tensor/host_device.h"

namespace tarflow {

// What a stream of numbers is for; streams of one seed are independent.
enum class Stream : uint32_t {
  kNoise = 0,
  kLabels = 1,
  kSubsets = 2,
  kImageNoise = 3,
  // Of a training; the image's number is that of the sample, counted over all steps.
  kTrainingNoise = 4,
  kTrainingDraws = 5,  // flips and dropped labels
  kOrder = 6,          // the image's number is that of the epoch
  kWeights = 7,        // the image's number is that of the tensor
};

struct Random4 {
  uint32_t word[4];
};

namespace philox {

// IEEE operations that no compiler may fuse.
#ifdef __CUDA_ARCH__
TARFLOW_HD double add(double a, double b) { return __dadd_rn(a, b); }
TARFLOW_HD double mul(double a, double b) { return __dmul_rn(a, b); }
TARFLOW_HD double div(double a, double b) { return __ddiv_rn(a, b); }
TARFLOW_HD double root(double a) { return __dsqrt_rn(a); }
#else
TARFLOW_HD double add(double a, double b) { return a + b; }
TARFLOW_HD double mul(double a, double b) { return a * b; }
TARFLOW_HD double div(double a, double b) { return a / b; }
TARFLOW_HD double root(double a) { return std::sqrt(a); }
#endif

// Natural logarithm of u in (0, 1]: u = 2^e m with m in [sqrt(1/2), sqrt(2)), ln m = 2
// atanh((m-1)/(m+1)).
TARFLOW_HD double log_unit(double u) {
  int exponent = 0;
  while (u < 0.70710678118654752) {  // at most 33 doublings; exact
    u = mul(u, 2.0);
    --exponent;
  }
  const double r = div(add(u, -1.0), add(u, 1.0));
  const double r2 = mul(r, r);
  double sum = 1.0 / 21;  // atanh series; |r| <= 0.1716, so the first term left out is below 1e-17
  for (int k = 19; k >= 1; k -= 2) sum = add(mul(sum, r2), 1.0 / k);
  return add(mul(2.0, mul(r, sum)), mul(exponent, 0.69314718055994531));
}

// cos and sin of 2 pi v for v in [0, 1), by eighths of a turn and Taylor series.
TARFLOW_HD void cos_sin_turn(double v, double* cosine, double* sine) {
  const int quarter = static_cast<int>(add(mul(v, 4.0), 0.5));            // nearest quarter, 0..4
  const double x = mul(add(v, mul(quarter, -0.25)), 6.2831853071795865);  // in [-pi/4, pi/4]
  const double x2 = mul(x, x);
  double c = 1.0, s = 1.0;
  for (int k = 18; k >= 2; k -= 2) {
    c = add(1.0, -mul(c, div(x2, mul(k, k - 1.0))));
    s = add(1.0, -mul(s, div(x2, mul(k, k + 1.0))));
  }
  s = mul(s, x);
  const int turn = quarter & 3;
  *cosine = turn == 0 ? c : turn == 1 ? -s : turn == 2 ? -c : s;
  *sine = turn == 0 ? s : turn == 1 ? c : turn == 2 ? -s : -c;
}

// Philox4x32-10: ten rounds on a 128-bit counter under a 64-bit key, words from the lowest.
TARFLOW_HD Random4 rounds(Random4 counter, uint32_t key0, uint32_t key1) {
  uint32_t c0 = counter.word[0], c1 = counter.word[1], c2 = counter.word[2], c3 = counter.word[3];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key0;
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace philox

// Four words for (seed; image, element / 4, stream).
TARFLOW_HD Random4 philox4x32(uint64_t seed, uint64_t image, uint32_t block, Stream stream) {
  const Random4 counter = {{block, static_cast<uint32_t>(stream), static_cast<uint32_t>(image),
                            static_cast<uint32_t>(image >> 32)}};
  return philox::rounds(counter, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

// Two standard normals from two words (Box-Muller), computed in double and rounded once.
TARFLOW_HD void normal_pair(uint32_t a, uint32_t b, float* first, float* second) {
  const double u = philox::mul(philox::add(a, 0.5), 1.0 / 4294967296.0);  // (0, 1)
  const double v = philox::mul(b, 1.0 / 4294967296.0);                    // [0, 1)
  const double radius = philox::root(philox::mul(-2.0, philox::log_unit(u)));
  double cosine, sine;
  philox::cos_sin_turn(v, &cosine, &sine);
  *first = static_cast<float>(philox::mul(radius, cosine));
  *second = static_cast<float>(philox::mul(radius, sine));
}

// Elements 4*block .. 4*block+3 of an image's standard normal noise.
TARFLOW_HD void normal4(uint64_t seed, uint64_t image, uint32_t block, float out[4],
                        Stream stream = Stream::kNoise) {
  const Random4 random = philox4x32(seed, image, block, stream);
  normal_pair(random.word[0], random.word[1], &out[0], &out[1]);
  normal_pair(random.word[2], random.word[3], &out[2], &out[3]);
}

// The upper 24 bits, which a float holds exactly: on [0, 1), a multiple of 2^-24.
TARFLOW_HD float unit_interval(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

// Elements 4*block .. 4*block+3 of an image's uniform noise on [0, 1).
TARFLOW_HD void uniform4(uint64_t seed, uint64_t image, uint32_t block, float out[4],
                         Stream stream) {
  const Random4 random = philox4x32(seed, image, block, stream);
  for (int e = 0; e < 4; ++e) out[e] = unit_interval(random.word[e]);
}

}  // namespace tarflow
