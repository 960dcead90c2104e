// A method of inverting a block, as the loop of solve.h sees it: what to evaluate next, and what to
// make of the outputs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/kernels/guided_update.h"
#include "framework/sampling/evaluator.h"

namespace tarflow {

struct LinearModel;

// What a solver works on: the evaluator has begun the block, iterate().z is set.
struct Inversion {
  Evaluator& evaluator;
  bool observed = false;  // somebody looks at each iteration before the next one is begun
  const LinearModel* linear = nullptr;  // of the block, where its checkpoint is calibrated

  Workspace& workspace() const { return evaluator.workspace(); }
  Iterate& iterate() const { return evaluator.workspace().iterate(); }
  int64_t tokens() const { return iterate().z.size(1); }
};

class Solver {
 public:
  virtual ~Solver() = default;

  // The next evaluation; nothing when x is what the method gives. May run ahead of the device, by
  // the evaluator's stop_lag() at most, and may wait for it.
  virtual std::optional<Step> next() = 0;

  // What follows from the outputs of a step. Gives work to the device and does nothing else: it is
  // recorded as a graph, and the host does not run it again when the graph is replayed.
  virtual void update(Iterate& iterate, const Outputs& outputs, const Step& step) = 0;

  // Whether steps come again at the same place, so that recording them as graphs is worth it.
  virtual bool recorded() const { return true; }

  // What update() depends on beside the step: settings and whether tensors of the Iterate are used.
  virtual std::vector<int64_t> key() const { return {}; }

  // Once next() has returned nothing: the iterations that counted, a segment; those begun before a
  // stop was known did not. T - 1 single steps are one entry.
  virtual std::vector<int> iterations() const = 0;
  // ||x' - x||_2 / (N D) after each of them, segment after segment; where it was measured.
  virtual std::vector<double> residuals() const { return {}; }
  // Whether update() leaves each iteration's change in the iterate, where somebody observes. A method
  // that does not cannot be observed.
  virtual bool measures_change() const { return false; }
  // Of a window: the front after each full evaluation, and each evaluation's letter.
  virtual std::vector<int64_t> fronts() const { return {}; }
  virtual std::string kinds() const { return ""; }
};

// The update of the step's outputs, with nothing measured and no clamp.
kernels::GuidedUpdate update_of(const Evaluator& evaluator, const Iterate& iterate,
                                const Outputs& outputs, const Step& step);

// A file a method, in solvers/. Each sets x to its initial guess.
std::unique_ptr<Solver> make_solver(const Sequential& plan, const Inversion& inversion);
std::unique_ptr<Solver> make_solver(const Jacobi& plan, const Inversion& inversion);
std::unique_ptr<Solver> make_solver(const Segments& plan, const Inversion& inversion);
std::unique_ptr<Solver> make_solver(const Window& plan, const Inversion& inversion);

}  // namespace tarflow
