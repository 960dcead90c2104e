// One evaluation of inputs [first, last), both passes in one tensor (N or 2N, last - first, 2D).
#pragma once

#include <ATen/ATen.h>

#include "framework/sampling/evaluator.h"

namespace tarflow {

inline at::Tensor evaluated(Evaluator& evaluator, const at::Tensor& x, int64_t first, int64_t last,
                            Passes passes = Passes::kBoth) {
  Step step;
  step.place.first = first;
  step.width = last - first;
  step.passes = passes;
  const Outputs outputs = evaluator.evaluate(x, step);
  if (!outputs.unconditional.defined()) return outputs.conditional.clone();
  return at::cat({outputs.conditional, outputs.unconditional});
}

}  // namespace tarflow
