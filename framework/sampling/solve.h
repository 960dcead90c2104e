// Inversion of one block by any method (method.md section 2): the loop around evaluations and
// updates.
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

// What the inversion of one block took. What was begun before a stop was known does not count.
struct BlockWork {
  int block = 0;  // checkpoint index
  std::vector<int>
      iterations;  // of each segment; T - 1 single steps count as one entry when sequential
  // ||x' - x||_2 / (N D) after each iteration, segment after segment; only where a stop needs it or
  // somebody observes.
  std::vector<double> residuals;
  // Tokens evaluated an image. Guidance does not count twice; an evaluation of the conditional pass
  // alone counts half where there is guidance.
  double token_evaluations = 0;
  int64_t longest = 0;  // tokens of the longest evaluation
  // Of a window: the front after each full evaluation, and each evaluation's letter, F or H.
  std::vector<int64_t> fronts;
  std::string kinds;
  EvaluationCost cost;  // of all images and passes
};

// An iteration that was just done.
struct Iteration {
  int segment = 0;         // index; 0 for Jacobi
  Segment range;           // its inputs; it wrote the same indices plus one
  int number = 0;          // of this segment, from 1
  const at::Tensor& x;     // (N, T, D) in the block's token order; changed by the next iteration
  const double* change{};  // (N): squares of x' - x summed over what was written, an image each
};

struct SolveOptions {
  // Called after every iteration, not after the single steps of a sequential block. What it throws
  // ends the inversion. Throws std::logic_error for a method that does not measure the change of an
  // iteration, as the window.
  std::function<void(const Iteration&)> observe = {};
  // The block's linear model, for windows that guess by it.
  const LinearModel* linear = nullptr;
  // Called after every step, the single steps of a sequential block included: the share of the
  // block's work, 0 to 1, that was given to the device. It has to be cheap. Only for a BlockPlan.
  std::function<void(double share)> progress = {};
};

// Solves x_0 = z_0, x_t = exp(a_t(x_<t)) z_t + g_t(x_<t) for z (N, T, D) fp32 in the block's token
// order; `evaluator` has begun the block with N images. Returns x (N, T, D). Stops over the chunk
// act on these N images.
at::Tensor invert_block(Evaluator& evaluator, const BlockPlan& plan, const at::Tensor& z,
                        const SolveOptions& options, BlockWork* work);

// The same by a solver that no plan names: `make` is called once z is in the workspace.
using MakeSolver = std::function<std::unique_ptr<Solver>(const Inversion&)>;
at::Tensor invert_block(Evaluator& evaluator, const MakeSolver& make, const at::Tensor& z,
                        const SolveOptions& options, BlockWork* work);

}  // namespace tarflow
