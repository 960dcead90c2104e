// How Jacobi and GS-Jacobi come closer to the sequential solution of a block, iteration by
// iteration (method.md section 3, "Convergence curves").
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/sampling/evaluator.h"

namespace tarflow {

// Squared norms of one range of a block's tokens, summed over images one after another in float64,
// so that the sums of chunks are those of all images at once.
class Curve {
 public:
  Curve() = default;
  // `tokens`: compared, each `width` wide.
  Curve(int iterations, int64_t tokens, int64_t width);

  int iterations() const { return static_cast<int>(errors_.size()); }

  // Adds what follow_convergence found of some images. Images added in the same order give the same
  // bits, however they are parted. Throws Error for values of another curve.
  void add(const at::Tensor& squares);

  // ||X* - x^k|| / (N tokens D), k = 1 .. iterations().
  std::vector<double> distances() const;
  // ||X* - x^k|| / ||X*||: over the rms of the solution's compared tokens.
  std::vector<double> relative_distances() const;
  // ||x^k - x^{k-1}|| / (N D), what the published stop looks at.
  std::vector<double> residuals() const;
  // ||X* - x^k|| / ||x^k - x^{k-1}||: the error left where an iteration makes a change of 1.
  std::vector<double> error_ratios() const;
  double guess_distance() const;  // as distances(), of the initial guess

 private:
  int64_t images_ = 0, tokens_ = 0, width_ = 0;
  double solution_ = 0, guess_ = 0;
  std::vector<double> errors_, changes_;
};

// The first iteration from which on all values stay below `bound`; nothing when the last does not.
std::optional<int> settled_below(const std::vector<double>& values, double bound);

// One curve a segment of `plan` (a single one for Jacobi), before any images. The last token of a
// sequence is never an input, so the segments are those of segments_of() in core/strategy.h.
std::vector<Curve> make_curves(const BlockPlan& plan, int64_t tokens, int64_t width);

struct Followed {
  at::Tensor last;  // (N, T, D): the last iterate
  // By curve: (2 + 2 iterations, N) float64 on the CPU, for Curve::add. Squares of X*, of X* minus
  // the guess, and of each iteration's X* - x^k and x^k - x^{k-1}; 0 where a segment needs fewer.
  std::vector<at::Tensor> squares;
};

// Inverts the block that `evaluator` has begun by `plan`, which iterates and has no stop, and
// measures every iteration's distance from `solution` (N, T, D). Jacobi is compared over all
// tokens, a segment over those it writes; both in the block's token order. `between` is called
// after every iteration; what it throws ends the inversion.
Followed follow_convergence(Evaluator& evaluator, const BlockPlan& plan, const at::Tensor& z,
                            const at::Tensor& solution, const std::function<void()>& between = {});

}  // namespace tarflow
