// Inversion of one block: sequential, Jacobi and GS-Jacobi (method.md section 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/sampling/evaluator.h"

namespace tarflow {

// What the inversion of one block took.
struct BlockWork {
  int block = 0;  // checkpoint index
  std::vector<int>
      iterations;  // of each segment; T - 1 single steps count as one entry when sequential
  // ||x' - x||_2 / (N D) after each iteration, segment after segment; only where a stop needs it or
  // somebody observes.
  std::vector<double> residuals;
  int64_t token_evaluations = 0;  // tokens evaluated an image; guidance does not count twice
};

// Segment i of G over T tokens reads inputs [first, last) and writes [first + 1, last + 1).
struct Segment {
  int64_t first = 0, last = 0;
  bool operator==(const Segment&) const = default;
};
std::vector<Segment> segments(int64_t tokens, int count);

// An iteration of Jacobi or GS-Jacobi that was just done.
struct Iteration {
  int segment = 0;         // index; 0 for Jacobi
  Segment range;           // its inputs; it wrote the same indices plus one
  int number = 0;          // of this segment, from 1
  const at::Tensor& x;     // (N, T, D) in the block's token order; changed by the next iteration
  const double* change{};  // (N): squares of x' - x summed over what was written, an image each
};

struct InvertOptions {
  double cfg = 0;
  // Called after every iteration, not after the single steps of a sequential block. What it throws
  // ends the inversion.
  std::function<void(const Iteration&)> observe = {};
};

// Solves x_0 = z_0, x_t = exp(a_t(x_<t)) z_t + g_t(x_<t) for z (N, T, D) fp32 in the block's token
// order; `evaluator` has begun the block. Returns x (N, T, D). Batch-wide stops act on these N
// images.
at::Tensor invert_block(Evaluator& evaluator, const BlockStrategy& plan, const at::Tensor& z,
                        const InvertOptions& options, BlockWork* work);

}  // namespace tarflow
