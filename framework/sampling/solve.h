// Inversion of one block by any method (method.md section 2): the loop of evaluations and updates.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "framework/core/shape.h"
#include "framework/core/strategy.h"
#include "framework/sampling/solver.h"

namespace tarflow {

// The work of inverting one block. Iterations that were begun before a stop was known do not count.
struct BlockWork {
  int block = 0;  // checkpoint index
  // One entry per segment. The T - 1 single steps of a sequential block are one entry.
  std::vector<int> iterations;
  // ||x' - x||_2 / (N D) after each iteration, segment after segment; only with a stop or an
  // observer.
  std::vector<double> residuals;
  // Evaluated tokens per image. The two passes of guidance count once; the conditional pass alone
  // counts half then.
  double token_evaluations = 0;
  int64_t longest = 0;  // tokens of the longest evaluation
  // Only of a window: the front after each full evaluation, and one letter per evaluation, F or H.
  std::vector<int64_t> fronts;
  std::string kinds;
  EvaluationCost cost;  // of all images and passes
};

// A finished iteration.
struct Iteration {
  int segment = 0;         // index; 0 for Jacobi
  Segment range;           // inputs of the segment; it wrote the same indices plus one
  int number = 0;          // in this segment, from 1
  const at::Tensor& x;     // (N, T, D) in the block's token order; the next iteration changes it
  const double* change{};  // (N): sum of squares of x' - x of each image
};

struct SolveOptions {
  // Called after every iteration, not after the single steps of a sequential block. An exception
  // from it ends the inversion. invert_block throws std::logic_error if a method does not measure
  // the change of an iteration, as the window.
  std::function<void(const Iteration&)> observe = {};
  // The linear model of the block; for windows that guess by it.
  const LinearModel* linear = nullptr;
  // Called after every step, the single steps of a sequential block included: the share of the
  // block's work, 0 to 1, that was given to the device. It has to be cheap. Only for a BlockPlan.
  std::function<void(double share)> progress = {};
};

// Solves x_0 = z_0, x_t = exp(a_t(x_<t)) z_t + g_t(x_<t) for z (N, T, D) fp32 in the block's token
// order. `evaluator` must have begun the block with N images. Returns x (N, T, D). Stops over the
// chunk act on these N images.
at::Tensor invert_block(Evaluator& evaluator, const BlockPlan& plan, const at::Tensor& z,
                        const SolveOptions& options, BlockWork* work);

// The same by a solver of the caller. `make` is called after z was copied into the workspace.
using MakeSolver = std::function<std::unique_ptr<Solver>(const Inversion&)>;
at::Tensor invert_block(Evaluator& evaluator, const MakeSolver& make, const at::Tensor& z,
                        const SolveOptions& options, BlockWork* work);

}  // namespace tarflow
