// Counts and judges the iterations of a segment (method.md section 2 "Stop") on the device; the
// host learns of a stop a few iterations late and need not wait for the device before.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <deque>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/sampling/evaluator.h"

namespace tarflow {

class StopWatch {
 public:
  // Judges what is added to iterate.change; `lag` as Evaluator::stop_lag().
  StopWatch(const BlockStrategy& plan, const Iterate& iterate, int lag);

  // Before the first iteration of a segment.
  void start();
  // Judges the iteration that was just given to the device. True when one that is at least `lag`
  // iterations old has stopped: no further ones are needed.
  bool judge();
  // After the last one: waits, adds the residual of each iteration up to the stop to `residuals`,
  // and tells how many there were.
  int finish(std::vector<double>& residuals);

 private:
  struct Look {  // at the flag, under way
    at::Tensor stopped;
    c10::Event event;
  };
  bool stopped(Look& look) const;

  const BlockStrategy& plan_;
  const Iterate& iterate_;
  const size_t lag_;
  at::Tensor history_;  // (max_iterations) float64
  std::deque<Look> looks_;
};

}  // namespace tarflow
