// A method of inverting a block, as the loop of solve.h uses it. It says what to evaluate next, and
// it updates the state from the outputs.
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

// The input of a solver. The evaluator has begun the block, and iterate().z is set.
struct Inversion {
  Evaluator& evaluator;
  bool observed = false;  // whether an observer sees each iteration before the next one begins
  const LinearModel* linear = nullptr;  // of the block; null without a calibration

  Workspace& workspace() const { return evaluator.workspace(); }
  Iterate& iterate() const { return evaluator.workspace().iterate(); }
  int64_t tokens() const { return iterate().z.size(1); }
};

class Solver {
 public:
  virtual ~Solver() = default;

  // The next evaluation; nullopt if x is the result of the method. The host may run ahead of the
  // device by at most the evaluator's stop_lag(). next() may wait for the device.
  virtual std::optional<Step> next() = 0;

  // Updates the state from the outputs of a step. It gives work to the device and does nothing
  // else: a graph records this work, and the host does not call update() when the graph is
  // replayed.
  virtual void update(Iterate& iterate, const Outputs& outputs, const Step& step) = 0;

  // Whether steps are recorded as graphs. This pays if steps come again at the same place.
  virtual bool recorded(const Step&) const { return true; }

  // Everything but the step that update() depends on: settings, and the tensors of the Iterate in
  // use.
  virtual std::vector<int64_t> key() const { return {}; }

  // The iterations that counted, one entry per segment; valid after next() has returned nullopt.
  // Iterations that were begun before a stop was known do not count. T - 1 single steps are one
  // entry.
  virtual std::vector<int> iterations() const = 0;
  // ||x' - x||_2 / (N D) after each iteration that counted, segment after segment; empty if it was
  // not measured.
  virtual std::vector<double> residuals() const { return {}; }
  // Whether update() leaves the change of each iteration in the iterate if there is an observer.
  // Other methods cannot be observed.
  virtual bool measures_change() const { return false; }
  // Where next() did not know the places of the steps, or gave some that did not count: the steps
  // as the device did them.
  virtual std::optional<std::vector<Step>> counted() const { return {}; }
  // Only of a window: the front after each full evaluation, and one letter per evaluation.
  virtual std::vector<int64_t> fronts() const { return {}; }
  virtual std::string kinds() const { return ""; }
};

// The update from the outputs of a step, without measures and clamp.
kernels::GuidedUpdate update_of(const Evaluator& evaluator, const Iterate& iterate,
                                const Outputs& outputs, const Step& step);

// Each method has a file in solvers/. Each solver sets x to its initial guess.
std::unique_ptr<Solver> make_solver(const Sequential& plan, const Inversion& inversion);
std::unique_ptr<Solver> make_solver(const Jacobi& plan, const Inversion& inversion);
std::unique_ptr<Solver> make_solver(const Segments& plan, const Inversion& inversion);
std::unique_ptr<Solver> make_solver(const Window& plan, const Inversion& inversion);
// Throws Error: a method is chosen before sampling starts.
std::unique_ptr<Solver> make_solver(const Tuned& plan, const Inversion& inversion);

}  // namespace tarflow
