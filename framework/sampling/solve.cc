#include "framework/sampling/solve.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <typeinfo>

#include "framework/core/overloaded.h"
#include "framework/tensor/range.h"

namespace tarflow {
namespace {

// Counts the evaluations that were given to the device.
class WorkCount {
 public:
  explicit WorkCount(const Evaluator& evaluator) : evaluator_(evaluator) {}

  void add(const Step& step) {
    const int64_t first = step.place.first;
    const ModelShape& shape = evaluator_.model().shape;
    const int element = evaluator_.model().compute == ComputeType::kFloat32 ? 4 : 2;
    const bool half = evaluator_.guided() && step.passes == Passes::kConditional;
    const int64_t images = evaluator_.images(),
                  rows = evaluator_.guided() && !half ? 2 * images : images;
    given_.push_back({step.segment, step.iteration, step.width,
                      static_cast<double>(step.width) * (half ? 0.5 : 1),
                      shape.evaluation_cost(first, first + step.width, rows, element)});
  }

  // What the solver says instead, where the host did not know.
  void replace(const std::vector<Step>& steps) {
    given_.clear();
    for (const Step& step : steps) add(step);
  }

  // Leaves out the iterations that did not count.
  void finish(BlockWork& work) const {
    for (const Given& step : given_) {
      if (step.iteration > work.iterations.at(static_cast<size_t>(step.segment))) continue;
      work.token_evaluations += step.tokens;
      work.longest = std::max(work.longest, step.width);
      work.cost += step.cost;
    }
  }

 private:
  struct Given {
    int segment, iteration;
    int64_t width;
    double tokens;
    EvaluationCost cost;
  };
  const Evaluator& evaluator_;
  std::vector<Given> given_;
};

std::vector<int64_t> key_of(const Evaluator& evaluator, const Solver& solver, const Step& step) {
  const void* const stopped = step.stopped.defined() ? step.stopped.const_data_ptr() : nullptr;
  // A single step reads its place from the counter.
  const int64_t first = step.place.counter.defined() ? -1 : step.place.first;
  std::vector<int64_t> key{evaluator.images(),
                           first,
                           step.width,
                           static_cast<int64_t>(step.passes),
                           int64_t{step.cached},
                           std::bit_cast<int64_t>(stopped),
                           static_cast<int64_t>(typeid(solver).hash_code())};
  const std::vector<int64_t> own = solver.key();
  key.insert(key.end(), own.begin(), own.end());
  return key;
}

// Gives a step and what follows from it to the device; as a graph where that is worth it.
void give(Evaluator& evaluator, Solver& solver, Step step) {
  const Range range("iteration");
  Workspace& workspace = evaluator.workspace();
  Iterate& iterate = workspace.iterate();
  const auto work = [&] {
    const Outputs outputs = evaluator.evaluate(iterate.x, step);
    solver.update(iterate, outputs, step);
  };
  if (!solver.recorded(step) || !evaluator.records(step)) return work();
  if (step.width > 1) return workspace.graphs().run(key_of(evaluator, solver, step), work);
  // One graph serves all single steps of a sequence, since it reads and moves on the counter.
  const int64_t first = step.place.first;
  step.place = {0, workspace.set_counter(first)};
  workspace.graphs().run(key_of(evaluator, solver, step), [&] {
    work();
    step.place.counter.add_(1);
  });
  workspace.counter_moved(first);
}

void tell(const Solver& solver, const Step& step, const Iterate& iterate,
          const SolveOptions& options) {
  if (!solver.measures_change())
    throw std::logic_error("this method of inverting a block cannot be observed");
  const at::Tensor change = iterate.statistics.defined()
                                ? iterate.statistics.select(2, kernels::kSquares).sum(1).cpu()
                                : iterate.change.cpu().clone();  // before it is set to zero
  options.observe(
      {step.segment, step.range, step.iteration, iterate.x, change.const_data_ptr<double>()});
}

// The share of a block's work that is given once `step` is; the block has so many inputs. A stop may
// end the iterations earlier.
double share_given(const BlockPlan& plan, const Step& step, int64_t inputs) {
  const auto iterated = [&](const Iterations& iterations) {
    return std::min(1.0,
                    static_cast<double>(step.iteration) / std::max(iterations.max_iterations, 1));
  };
  const double first = static_cast<double>(step.place.first);
  const double tokens = std::visit(
      Overloaded{[&](const Sequential&) { return first + 1; },
                 [&](const Window&) { return static_cast<double>(step.range.first); },
                 [](const Tuned&) { return 0.0; },
                 [&](const Jacobi& plan) { return iterated(plan) * static_cast<double>(inputs); },
                 [&](const Segments& plan) {
                   const auto begin = static_cast<double>(step.range.first);
                   return begin + iterated(plan) * (static_cast<double>(step.range.last) - begin);
                 }},
      plan.method);
  return inputs > 0 ? std::min(1.0, tokens / static_cast<double>(inputs)) : 1.0;
}

at::Tensor invert(Evaluator& evaluator, const MakeSolver& make, const at::Tensor& z,
                  const SolveOptions& options, const std::function<void(const Step&)>& given,
                  BlockWork* work) {
  const Iterate& iterate = evaluator.workspace().begin(z);
  const std::unique_ptr<Solver> solver =
      make(Inversion{evaluator, static_cast<bool>(options.observe), options.linear});
  WorkCount count(evaluator);
  while (const std::optional<Step> step = solver->next()) {
    give(evaluator, *solver, *step);
    count.add(*step);
    if (given) given(*step);
    if (options.observe && step->iteration > 0) tell(*solver, *step, iterate, options);
  }
  work->iterations = solver->iterations();
  work->residuals = solver->residuals();
  work->fronts = solver->fronts();
  work->kinds = solver->kinds();
  if (const auto steps = solver->counted()) count.replace(*steps);
  count.finish(*work);
  return iterate.x.clone();
}

}  // namespace

kernels::GuidedUpdate update_of(const Evaluator& evaluator, const Iterate& iterate,
                                const Outputs& outputs, const Step& step) {
  kernels::GuidedUpdate update;
  update.conditional = outputs.conditional;
  update.unconditional = outputs.unconditional;
  update.z = iterate.z;
  update.x = iterate.x;
  update.first = step.place.first;
  update.counter = step.place.counter;
  update.cfg = evaluator.guidance().cfg;
  return update;
}

at::Tensor invert_block(Evaluator& evaluator, const MakeSolver& make, const at::Tensor& z,
                        const SolveOptions& options, BlockWork* work) {
  return invert(evaluator, make, z, options, {}, work);
}

at::Tensor invert_block(Evaluator& evaluator, const BlockPlan& plan, const at::Tensor& z,
                        const SolveOptions& options, BlockWork* work) {
  const auto make = [&](const Inversion& inversion) {
    return std::visit([&](const auto& method) { return make_solver(method, inversion); },
                      plan.method);
  };
  if (!options.progress) return invert(evaluator, make, z, options, {}, work);
  return invert(
      evaluator, make, z, options,
      [&](const Step& step) { options.progress(share_given(plan, step, z.size(1) - 1)); }, work);
}

}  // namespace tarflow
