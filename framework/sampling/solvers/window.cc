// The adaptive window (docs/method.md "Adaptive window"): the inputs behind a front of final tokens
// are evaluated, and the front moves on by those that no longer change. Everything but the accepted
// tokens is a guess that the network judges again.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"
#include "framework/sampling/linear_model.h"
#include "framework/sampling/solver.h"

namespace tarflow {
namespace {

constexpr double kLooseClip = 100;  // of guesses that no calibration bounds

class WindowSolver final : public Solver {
 public:
  WindowSolver(const Window& plan, const Inversion& inversion)
      : plan_(plan),
        evaluator_(inversion.evaluator),
        iterate_(inversion.iterate()),
        linear_(plan.guess == WindowGuess::kLinear ? inversion.linear : nullptr),
        tokens_(inversion.tokens()),
        features_(iterate_.z.size(2)),
        row_(inversion.evaluator.model().shape.image_size /
             inversion.evaluator.model().shape.patch_size),
        clip_(linear_ ? linear_->clip : kLooseClip) {
    if (plan.guess == WindowGuess::kLinear && !linear_ && tokens_ > 1) {
      throw Error("the adaptive window with `guess: linear` needs a calibration of its checkpoint");
    }
    iterate_.x.copy_(iterate_.z);
    lost_ = ~iterate_.z.isfinite().flatten(1).all(1);
    Workspace& workspace = inversion.workspace();
    theta_ = state(workspace, "window theta");  // of T rows, as blocks have other widths
    if (evaluator_.guided()) delta_ = state(workspace, "window delta");
    if (plan.guess != WindowGuess::kZ) held_ = state(workspace, "window held");
  }

  std::optional<Step> next() override {
    if (width_ > 0) settle();
    if (front_ >= tokens_ - 1) return std::nullopt;
    const int64_t last = std::min<int64_t>(front_ + plan_.width, tokens_ - 1);
    enter(last);
    if (linear_) sweep(last);
    width_ = last - front_;
    half_ = evaluator_.guided() && width_ > 1 &&
            plan_.pattern[static_cast<size_t>(evaluations_) % plan_.pattern.size()] == 'H';
    ++evaluations_;
    kinds_.push_back(half_ ? 'H' : 'F');
    Step step;
    step.place.first = front_;
    step.width = width_;
    step.passes = half_ ? Passes::kConditional : Passes::kBoth;
    step.range = {0, tokens_ - 1};
    step.iteration = evaluations_;
    return step;
  }

  // The guided outputs of the window, and after a full evaluation what guidance adds.
  void update(Iterate&, const Outputs& outputs, const Step& step) override {
    const at::Tensor theta = theta_.slice(1, 0, step.width);
    theta.copy_(outputs.conditional);
    if (!delta_.defined()) return;
    const int64_t first = step.place.first + 1, last = first + step.width;
    const at::Tensor delta = delta_.slice(1, first, last);
    if (outputs.unconditional.defined()) delta.copy_(theta - outputs.unconditional);
    theta.addcmul_(weights(first, last), delta);
  }

  bool recorded() const override { return false; }  // a front hardly ever comes again
  std::vector<int> iterations() const override { return {evaluations_}; }
  std::vector<int64_t> fronts() const override { return fronts_; }
  std::string kinds() const override { return kinds_; }

 private:
  // (N, T, 2D) of a name, zeros.
  at::Tensor state(Workspace& workspace, const char* name) const {
    at::Tensor rows = workspace.rows(name, {tokens_, 2 * features_}, at::kFloat);
    rows.zero_();
    return rows;
  }

  // cfg t / (T - 1) of the produced tokens [first, last), (last - first, 1).
  at::Tensor weights(int64_t first, int64_t last) const {
    const double unit = evaluator_.guidance().cfg / static_cast<double>(tokens_ - 1);
    return at::arange(first, last, iterate_.z.options()).mul_(unit).unsqueeze(1);
  }

  // exp(a) z + g of tokens [first, first + n).
  at::Tensor solved(const at::Tensor& theta, int64_t first) const {
    const at::Tensor a = theta.slice(2, 0, features_), g = theta.slice(2, features_);
    return a.exp().mul_(iterate_.z.slice(1, first, first + theta.size(1))).add_(g);
  }

  // The same as a guess: clipped, and z where it is not a number.
  at::Tensor proposed(const at::Tensor& theta, int64_t first) const {
    const at::Tensor value = solved(theta, first),
                     z = iterate_.z.slice(1, first, first + theta.size(1));
    return at::where(value.isnan(), z, value).clamp_(-clip_, clip_);
  }

  at::Tensor x(int64_t first, int64_t last) const { return iterate_.x.slice(1, first, last); }

  // Tokens known_ + 1 .. last join the window: what the token above, or without one the token
  // before, is known by stands for them.
  void enter(int64_t last) {
    const bool first_window = known_ == 0;
    for (int64_t t = known_ + 1; t <= last; ++t) {
      const int64_t source = t > row_ ? t - row_ : t - 1;
      if (delta_.defined()) delta_.select(1, t).copy_(delta_.select(1, source));
      if (linear_) {
        at::Tensor held = held_.select(1, t);
        at::mul_out(held, held_.select(1, t - 1), linear_->left);
        if (t > row_) held.addcmul_(linear_->up, held_.select(1, t - row_));
      } else if (held_.defined() && !first_window) {
        held_.select(1, t).copy_(held_.select(1, source));
        x(t, t + 1).copy_(proposed(held_.slice(1, t, t + 1), t));
      }
    }
    known_ = std::max(known_, last);
  }

  // The linear system of the window's guesses, `sweeps` Jacobi iterations of it.
  void sweep(int64_t last) const {
    const int64_t first = front_ + 1, end = last + 1;
    for (int i = 0; i < plan_.sweeps; ++i) {
      const at::Tensor theta =
          predicted(*linear_, iterate_.x, first, end, row_) + held_.slice(1, first, end);
      x(first, end).copy_(proposed(theta, first));
    }
  }

  // What follows from the evaluation that was given last: tokens are accepted, others move.
  void settle() {
    const int64_t first = front_ + 1, end = first + width_;
    const at::Tensor theta = theta_.slice(1, 0, width_);
    if (linear_) {
      held_.slice(1, first, end).copy_(theta - predicted(*linear_, iterate_.x, first, end, row_));
    } else if (held_.defined()) {
      held_.slice(1, first, end).copy_(theta);
    }
    const int64_t accepted = half_ ? 0 : accept(theta, first);
    if (accepted < width_) {
      x(first + accepted, end).copy_(proposed(theta.slice(1, accepted), first + accepted));
    }
    front_ += accepted;
    if (!half_) fronts_.push_back(front_);
  }

  // Writes the settled tokens and the first one that is not; how many these are.
  int64_t accept(const at::Tensor& theta, int64_t first) {
    const at::Tensor y = solved(theta, first);
    at::Tensor change = (y - x(first, first + width_)).square_().mean(2).sqrt_();
    change = at::where(lost_.unsqueeze(1), at::zeros({}, change.options()), change).amax(0).cpu();
    const float* const changes = change.const_data_ptr<float>();
    // A change that is not a number is not settled.
    const float tolerance = static_cast<float>(plan_.tolerance);
    const auto unsettled =
        std::find_if(changes, changes + width_, [&](float value) { return !(value <= tolerance); });
    const int64_t count = std::min<int64_t>(unsettled - changes + 1, width_);
    const at::Tensor accepted = y.slice(1, 0, count);
    x(first, first + count).copy_(accepted);
    lost_ = lost_.logical_or(~accepted.isfinite().flatten(1).all(1));
    return count;
  }

  const Window plan_;
  const Evaluator& evaluator_;
  Iterate& iterate_;
  const LinearModel* const linear_;
  const int64_t tokens_, features_, row_;
  const double clip_;
  at::Tensor theta_;  // (N, T, 2D) fp32: outputs of the window at hand, guided, from row 0 on
  at::Tensor
      delta_;        // (N, T, 2D) fp32: conditional minus unconditional; undefined without guidance
  at::Tensor held_;  // (N, T, 2D) fp32: residuals of the linear model, or outputs; undefined for z
  at::Tensor lost_;  // (N) bool: images that are not finite for good no longer hold the others back
  int64_t front_ = 0;  // tokens 0 .. front_ are final
  int64_t known_ = 0;  // tokens 1 .. known_ have been in a window
  int64_t width_ = 0;  // of the evaluation that was given last
  bool half_ = false;  // it was of the conditional pass alone
  int evaluations_ = 0;
  std::vector<int64_t> fronts_;
  std::string kinds_;
};

}  // namespace

std::unique_ptr<Solver> make_solver(const Window& plan, const Inversion& inversion) {
  return std::make_unique<WindowSolver>(plan, inversion);
}

}  // namespace tarflow
