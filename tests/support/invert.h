// One block of a model inverted by an evaluator.
#pragma once

#include <ATen/ATen.h>

#include "framework/sampling/evaluator.h"
#include "framework/sampling/solve.h"

namespace tarflow {

struct Inverted {
  at::Tensor x;
  BlockWork work;
};

// `method` is a BlockPlan or a MakeSolver.
template <typename Method>
Inverted inverted(Evaluator& evaluator, int block, const Labels& labels, const Method& method,
                  const at::Tensor& z, const SolveOptions& options = {}) {
  evaluator.begin(block, labels, z.size(0));
  Inverted result;
  result.x = invert_block(evaluator, method, z, options, &result.work);
  return result;
}

}  // namespace tarflow
