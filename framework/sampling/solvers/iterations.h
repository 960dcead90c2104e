// What Jacobi and GS-Jacobi have in common: the guess, the update, and the stop, which the device
// judges (method.md section 2 "Stop") and of which the host learns a few iterations late.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <deque>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/sampling/solver.h"

namespace tarflow {

// x = z, or token 0 of z and zeros elsewhere (N, T, D). The guess is not open.
at::Tensor initial_guess(const Iterations& plan, const at::Tensor& z);

// The iterations of one segment after another, or of all tokens.
class IterationCount {
 public:
  IterationCount(const Iterations& plan, const Inversion& inversion);

  // Before the first iteration of a segment that reads the tokens of `range` and writes or holds
  // [written.first, written.last).
  void start(int segment, const Segment& range, const Segment& written);

  // Iterations that the segment was given so far.
  int given() const { return given_; }

  // The step of the segment's next iteration, with `skipped` leading inputs left out.
  Step step(int64_t skipped);

  // Judges the iteration that was given last, if there is one. True when the segment needs no
  // further one: there were as many as the plan allows, or one that is at least stop_lag()
  // iterations old has stopped. The segment is closed then.
  bool ended();

  // The update of the plan's iterations.
  kernels::GuidedUpdate update(const Iterate& iterate, const Outputs& outputs,
                               const Step& step) const;
  // Whether changes are measured, by image or by token.
  bool by_image() const { return watched_ && !by_token_; }
  bool by_token() const { return by_token_; }

  // How many leading inputs of `count` need no further evaluation, given that `final_inputs` were
  // final before the last one; at least one input is evaluated.
  int64_t skip(int64_t final_inputs, int64_t count) const;

  // What update() depends on.
  std::vector<int64_t> key() const;

  const std::vector<int>& iterations() const { return iterations_; }
  const std::vector<double>& residuals() const { return residuals_; }

 private:
  struct Look {  // at the flag, under way
    at::Tensor finished;
    c10::Event event;
  };
  bool judge();
  bool finished(Look& look) const;
  void close();

  const Evaluator& evaluator_;
  const Iterate& iterate_;
  const Iterations plan_;
  const bool watched_, by_token_;
  const size_t lag_;
  at::Tensor history_;  // (max_iterations) float64
  std::deque<Look> looks_;
  int segment_ = 0;
  Segment range_, written_;
  int given_ = 0;
  std::vector<int> iterations_;
  std::vector<double> residuals_;
};

}  // namespace tarflow
