// Sequential sampling (method.md section 2): T - 1 single steps over the cache. The result is
// exact.
#include <algorithm>

#include "framework/sampling/solver.h"

namespace tarflow {
namespace {

class SequentialSolver final : public Solver {
 public:
  explicit SequentialSolver(const Inversion& inversion)
      : evaluator_(inversion.evaluator), inputs_(inversion.tokens() - 1) {
    Iterate& iterate = inversion.iterate();
    iterate.x.copy_(
        iterate.z);  // token 0 is final; the other tokens are written before they are read
  }

  std::optional<Step> next() override {
    if (done_ == inputs_) return std::nullopt;
    Step step;
    step.place.first = done_++;
    step.width = 1;
    step.range = {0, inputs_};
    return step;
  }

  void update(Iterate& iterate, const Outputs& outputs, const Step& step) override {
    kernels::guided_update(update_of(evaluator_, iterate, outputs, step));
  }

  std::vector<int> iterations() const override { return {static_cast<int>(inputs_)}; }

 private:
  const Evaluator& evaluator_;
  const int64_t inputs_;
  int64_t done_ = 0;
};

}  // namespace

std::unique_ptr<Solver> make_solver(const Sequential&, const Inversion& inversion) {
  return std::make_unique<SequentialSolver>(inversion);
}

}  // namespace tarflow
