// A block whose method is left open has no solver: a method is chosen before sampling starts.
#include <fmt/format.h>

#include "framework/core/error.h"
#include "framework/sampling/solver.h"

namespace tarflow {

std::unique_ptr<Solver> make_solver(const Tuned& plan, const Inversion&) {
  throw Error(
      fmt::format("the method of a block is still to be chosen, for deviation {}", plan.deviation),
      "name a strategy in the place of auto");
}

}  // namespace tarflow
