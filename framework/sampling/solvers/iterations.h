// The common part of Jacobi and GS-Jacobi: the guess, the update and the stop (method.md section 2
// "Stop"). The device judges the stop. The host learns of it a few iterations late.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/sampling/device_look.h"
#include "framework/sampling/solver.h"

namespace tarflow {

// The initial x (N, T, D): z, or token 0 of z and zeros elsewhere. Throws std::logic_error for
// Guess::kAuto.
at::Tensor initial_guess(const Iterations& plan, const at::Tensor& z);

// Counts and judges the iterations of one segment after another. Jacobi is one segment.
class IterationCount {
 public:
  IterationCount(const Iterations& plan, const Inversion& inversion);

  // Starts a segment. `range`: the tokens that it reads. `written`: the tokens that it writes or
  // holds.
  void start(int segment, const Segment& range, const Segment& written);

  // Iterations of the segment that were given to the device.
  int submitted() const { return submitted_; }

  // The step of the segment's next iteration. It leaves out the first `skipped` inputs.
  Step step(int64_t skipped);

  // Judges the last submitted iteration, if there is one. Returns true if the segment needs no
  // further iteration: the plan's limit is reached, or an iteration that is at least stop_lag()
  // iterations old has stopped. The segment is finished then.
  bool ended();

  // The update of the plan's iterations.
  kernels::GuidedUpdate update(const Iterate& iterate, const Outputs& outputs,
                               const Step& step) const;
  // Whether changes are measured per image, or per token.
  bool by_image() const { return measured_ && !by_token_; }
  bool by_token() const { return by_token_; }

  // The number of leading inputs that the next evaluation leaves out. The segment has `count`
  // inputs. `final_inputs` of them were final before the last evaluation. At least one input is
  // evaluated.
  int64_t skip(int64_t final_inputs, int64_t count) const;

  // The settings that update() depends on.
  std::vector<int64_t> key() const;

  const std::vector<int>& iterations() const { return iterations_; }
  const std::vector<double>& residuals() const { return residuals_; }

 private:
  bool judge();
  void finish_segment();

  const Evaluator& evaluator_;
  const Iterate& iterate_;
  const Iterations plan_;
  const bool measured_, by_token_;
  at::Tensor history_;  // (max_iterations) float64
  std::optional<DeviceLook> look_;  // at the flag that the segment is finished
  int segment_ = 0;
  Segment range_, written_;
  int submitted_ = 0;
  std::vector<int> iterations_;
  std::vector<double> residuals_;
};

}  // namespace tarflow
