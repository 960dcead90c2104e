// The distance of Jacobi and GS-Jacobi from the sequential solution of a block after each iteration
// (method.md section 3, "Convergence curves").
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/sampling/evaluator.h"

namespace tarflow {

// Squared norms of one range of a block's tokens. They are summed over images one after another in
// float64, so chunks give the same sums as all images at once.
class Curve {
 public:
  Curve() = default;
  // tokens: the number of compared tokens. width: features per token.
  Curve(int iterations, int64_t tokens, int64_t width);

  int iterations() const { return static_cast<int>(errors_.size()); }

  // Adds some images: `squares` is an entry of Followed::squares. Images in the same order give the
  // same bits in any division. Throws Error if `squares` has another shape or type.
  void add(const at::Tensor& squares);

  // ||X* - x^k|| / (N tokens D), k = 1 .. iterations().
  std::vector<double> distances() const;
  // ||X* - x^k|| / ||X*||: over the rms of the solution's compared tokens.
  std::vector<double> relative_distances() const;
  // ||x^k - x^{k-1}|| / (N D), the norm of the published stop.
  std::vector<double> residuals() const;
  // ||X* - x^k|| / ||x^k - x^{k-1}||: the remaining error in units of the last change.
  std::vector<double> error_ratios() const;
  // As distances(), of the initial guess.
  double guess_distance() const;

 private:
  int64_t images_ = 0, tokens_ = 0, width_ = 0;
  double solution_ = 0, guess_ = 0;
  std::vector<double> errors_, changes_;
};

// The first iteration from which all values are below `bound`; nullopt if the last value is not.
std::optional<int> settled_below(const std::vector<double>& values, double bound);

// Curves without images: one per segment of `plan`, or a single curve for Jacobi. The last token of
// a sequence is never an input, so the segments are those of segments_of() in core/strategy.h.
std::vector<Curve> make_curves(const BlockPlan& plan, int64_t tokens, int64_t width);

struct Followed {
  at::Tensor last;  // (N, T, D): the last iterate
  // One entry per curve, for Curve::add: (2 + 2 iterations, N) float64 on the CPU. The rows are the
  // squares of X*, of X* minus the guess, and of X* - x^k and x^k - x^{k-1} for each iteration k.
  // Rows of iterations that a segment does not need are 0.
  std::vector<at::Tensor> squares;
};

// Inverts the block that `evaluator` has begun, and measures the distance of every iteration from
// `solution` (N, T, D). `plan` must be Jacobi or GS-Jacobi without a stop: otherwise throws
// std::logic_error. Jacobi is compared over all tokens, a segment over the tokens that it writes.
// Both use the block's token order. `between` is called after every iteration; an exception from it
// ends the inversion.
Followed follow_convergence(Evaluator& evaluator, const BlockPlan& plan, const at::Tensor& z,
                            const at::Tensor& solution, const std::function<void()>& between = {});

}  // namespace tarflow
