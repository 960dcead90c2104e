// Jacobi (method.md section 2): every iteration updates all tokens. The clamp acts on token 0 too.
#include <ATen/ATen.h>

#include <algorithm>

#include "framework/sampling/solvers/iterations.h"

namespace tarflow {
namespace {

class JacobiSolver final : public Solver {
 public:
  JacobiSolver(const Jacobi& plan, const Inversion& inversion)
      : clamp_(plan.clamp), count_(plan, inversion), inputs_(inversion.tokens() - 1) {
    // A model of one token has nothing to evaluate. Only the clamp acts.
    if (inputs_ == 0 && clamp_ > 0) inversion.iterate().x.clamp_(-clamp_, clamp_);
    count_.start(0, {0, inputs_}, {0, inputs_ + 1});
    // If no final tokens are left out, no evaluation reads the cache.
    cached_ = inversion.evaluator.skips_final_tokens(inputs_);
  }

  std::optional<Step> next() override {
    if (inputs_ == 0 || ended_ || (ended_ = count_.ended())) return std::nullopt;
    // Inputs 0..k-1 were final before evaluation k. A clamp that moves token 0 delays this by one.
    const int64_t done = count_.submitted(), final_inputs = clamp_ > 0 ? done - 1 : done;
    Step step = count_.step(count_.skip(std::max<int64_t>(0, final_inputs), inputs_));
    step.cached = cached_;
    return step;
  }

  void update(Iterate& iterate, const Outputs& outputs, const Step& step) override {
    kernels::guided_update(count_.update(iterate, outputs, step));
    if (clamps_first(step.iteration)) clamp_first_token(iterate);
  }

  std::vector<int64_t> key() const override {
    std::vector<int64_t> key = count_.key();
    key.push_back(int64_t{clamps_first(count_.submitted())});
    return key;
  }

  std::vector<int> iterations() const override {
    return inputs_ == 0 ? std::vector<int>{0} : count_.iterations();
  }
  bool measures_change() const override { return true; }
  std::vector<double> residuals() const override { return count_.residuals(); }

 private:
  bool clamps_first(int iteration) const { return clamp_ > 0 && iteration == 1; }

  void clamp_first_token(Iterate& iterate) const {
    at::Tensor token = iterate.x.slice(1, 0, 1);
    const at::Tensor clamped = token.clamp(-clamp_, clamp_), moved = clamped - token;
    if (count_.by_image())
      iterate.change.add_(moved.to(at::kDouble).square().sum(at::IntArrayRef{1, 2}));
    if (count_.by_token()) {
      const at::Tensor change = moved.select(1, 0).to(at::kDouble),
                       entries = iterate.statistics.select(1, 0);
      entries.select(1, kernels::kSquares).copy_(change.square().sum(1));
      entries.select(1, kernels::kLargest).copy_(change.abs().amax(1));
      entries.select(1, kernels::kSize).copy_(clamped.select(1, 0).to(at::kDouble).square().sum(1));
    }
    token.copy_(clamped);
  }

  const double clamp_;
  IterationCount count_;
  const int64_t inputs_;
  bool cached_ = true, ended_ = false;
};

}  // namespace

std::unique_ptr<Solver> make_solver(const Jacobi& plan, const Inversion& inversion) {
  return std::make_unique<JacobiSolver>(plan, inversion);
}

}  // namespace tarflow
