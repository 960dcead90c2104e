#include "framework/sampling/cost.h"

namespace tarflow {

EvaluationCost inversion_cost(const ModelShape& shape, const BlockStrategy& plan,
                              const BlockWork& work, int64_t images, const Guidance& guidance,
                              ComputeType compute) {
  const int64_t rows = guidance.doubled(shape) ? 2 * images : images, tokens = shape.tokens();
  const int element = compute == ComputeType::kFloat32 ? 4 : 2;
  EvaluationCost cost;
  if (plan.sequential()) {
    for (int64_t t = 0; t + 1 < tokens; ++t) cost += shape.evaluation_cost(t, t + 1, rows, element);
    return cost;
  }
  double counted = 0;  // tokens
  const std::vector<Segment> ranges = segments(tokens, plan.segments);
  for (size_t i = 0; i < ranges.size() && i < work.iterations.size(); ++i) {
    const auto [first, last] = ranges[i];
    const double times = work.iterations[i];
    cost += shape.evaluation_cost(first, last, rows, element) * times;
    counted += times * static_cast<double>(last - first);
  }
  return counted > 0 ? cost * (static_cast<double>(work.token_evaluations) / counted) : cost;
}

}  // namespace tarflow
