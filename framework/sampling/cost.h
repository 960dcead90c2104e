// What inverting blocks takes, whatever computes it: the counts that times are measured against.
#pragma once

#include "framework/core/shape.h"
#include "framework/core/strategy.h"
#include "framework/sampling/evaluator.h"
#include "framework/sampling/invert.h"

namespace tarflow {

// Of one block inverted by `plan` in the iterations that `work` tells, for `images` images. An
// evaluator that leaves out final tokens evaluates less; the count is then cut in proportion.
EvaluationCost inversion_cost(const ModelShape& shape, const BlockStrategy& plan,
                              const BlockWork& work, int64_t images, const Guidance& guidance,
                              ComputeType compute);

}  // namespace tarflow
