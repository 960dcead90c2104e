// The adaptive window (docs/method.md section 7): the inputs behind a front of final tokens are
// evaluated, and the front moves on by those that no longer change. Everything but the settled
// tokens is a guess that the network judges again.
#include <ATen/ATen.h>

#include <algorithm>
#include <bit>

#include "framework/core/error.h"
#include "framework/kernels/window.h"
#include "framework/sampling/device_look.h"
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
        tokens_(inversion.tokens()),
        width_(std::min<int64_t>(plan.width, tokens_ - 1)),
        // A front that moves by one token each time is known without looking.
        looks_(width_ > 1 && evaluator_.reads_place()) {
    const LinearModel* const linear =
        plan.guess == WindowGuess::kLinear && width_ > 0 ? inversion.linear : nullptr;
    if (plan.guess == WindowGuess::kLinear && !linear && width_ > 0)
      throw Error("the adaptive window with `guess: linear` needs a calibration of its checkpoint");
    Iterate& iterate = inversion.iterate();
    iterate.x.copy_(iterate.z);
    if (width_ < 1) return;
    lay_out(inversion, linear);
    if (looks_) inversion.evaluator.clean_cache(state_.lost);
    state_.lost.copy_(~iterate.z.isfinite().flatten(1).all(1));
    if (looks_) look_.emplace(state_.front, static_cast<size_t>(evaluator_.stop_lag()));
    kernels::window_begin(state_);
  }

  std::optional<Step> next() override {
    if (front() >= tokens_ - 1) return std::nullopt;
    Step step;
    if (looks_) {
      step.place.counter = state_.front;
      step.width = width_;
    } else {
      step.place.first = front_;
      step.width = std::min(width_, tokens_ - 1 - front_);
    }
    const char kind = plan_.pattern[static_cast<size_t>(given_) % plan_.pattern.size()];
    if (evaluator_.guided() && step.width > 1 && kind == 'H') step.passes = Passes::kConditional;
    step.range = {front_, tokens_ - 1};
    step.iteration = ++given_;
    return step;
  }

  void update(Iterate&, const Outputs& outputs, const Step& step) override {
    kernels::window_settle(state_, outputs.conditional, outputs.unconditional,
                           step.passes == Passes::kConditional);
  }

  // Where the host knows the front, a window hardly ever comes again at the same place.
  bool recorded(const Step& step) const override {
    return step.width == 1 || step.place.counter.defined();
  }
  // The width and the length of the pattern decide which memory the state has: a last step of one
  // input in float32 has a width of its own, and the log is as long as its pattern needs.
  std::vector<int64_t> key() const override {
    return {static_cast<int64_t>(plan_.guess),
            plan_.sweeps,
            plan_.advance,
            width_,
            static_cast<int64_t>(plan_.pattern.size()),
            std::bit_cast<int64_t>(plan_.tolerance)};
  }

  std::optional<std::vector<Step>> counted() const override {
    std::vector<Step> steps;
    for (const kernels::WindowEvaluation& evaluation : evaluations()) {
      Step step;
      step.place.first = evaluation.front;
      step.width = evaluation.inputs;
      step.passes = evaluation.full ? Passes::kBoth : Passes::kConditional;
      step.iteration = static_cast<int>(steps.size()) + 1;
      steps.push_back(step);
    }
    return steps;
  }
  std::vector<int> iterations() const override { return {static_cast<int>(evaluations().size())}; }
  std::vector<int64_t> fronts() const override {
    std::vector<int64_t> fronts;
    const std::vector<kernels::WindowEvaluation>& all = evaluations();
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].full) fronts.push_back(i + 1 < all.size() ? all[i + 1].front : tokens_ - 1);
    }
    return fronts;
  }
  std::string kinds() const override {
    std::string kinds;
    for (const kernels::WindowEvaluation& evaluation : evaluations())
      kinds += evaluation.full ? 'F' : 'H';
    return kinds;
  }

 private:
  // The state, in memory of the workspace: graphs serve every block.
  void lay_out(const Inversion& inversion, const LinearModel* linear) {
    Workspace& workspace = inversion.workspace();
    const Iterate& iterate = inversion.iterate();
    const int64_t depth = iterate.z.size(2), outputs = 2 * depth;
    const auto zeros = [](at::Tensor tensor) { return tensor.zero_(); };
    const auto number = [&](const char* name, int64_t count, at::ScalarType type) {
      return zeros(workspace.room(name, {count}, type));
    };
    state_.z = iterate.z;
    state_.x = iterate.x;
    state_.lost = workspace.rows("window lost", {}, at::kInt);
    state_.front = number("window front", 1, at::kLong);
    state_.span = number("window span", kernels::kSpan, at::kLong);
    const auto most = static_cast<int64_t>(plan_.pattern.size()) * (tokens_ - 1);
    state_.log = number("window log", 1 + most, at::kLong);
    state_.change = number("window change", width_, at::kInt);
    state_.theta = workspace.rows("window theta", {width_, outputs}, at::kFloat);
    if (evaluator_.guided())
      state_.delta = zeros(workspace.rows("window delta", {tokens_, outputs}, at::kFloat));
    if (plan_.guess != WindowGuess::kZ)
      state_.held = zeros(workspace.rows("window held", {tokens_, outputs}, at::kFloat));
    state_.clip = number("window clip", 1, at::kFloat).fill_(linear ? linear->clip : kLooseClip);
    const ModelShape& shape = evaluator_.model().shape;
    state_.row = shape.image_size / shape.patch_size;
    state_.sweeps = plan_.sweeps;
    state_.tolerance = plan_.tolerance;
    state_.cfg = evaluator_.guidance().cfg;
    state_.advance = plan_.advance;
    if (linear) take(workspace, *linear, depth);
  }

  void take(Workspace& workspace, const LinearModel& linear, int64_t depth) {
    const auto copied = [&](const char* name, const at::Tensor& from) {
      return workspace.room(name, from.sizes(), at::kFloat).copy_(from);
    };
    state_.j = copied("window j", linear.j);
    state_.j0 = copied("window j0", linear.j0);
    state_.up = copied("window up", linear.up);
    state_.left = copied("window left", linear.left);
    if (!linear.j.is_cuda()) return;  // the CPU's twin has no use for them
    state_.predicted = workspace.rows("window predicted", {width_, 2 * depth}, at::kFloat);
    const at::ScalarType type = evaluator_.model().dtype();
    state_.neighbours = workspace.rows("window neighbours", {width_, 4 * depth}, type);
    if (type != at::kFloat)
      state_.j_rounded = workspace.room("window j", linear.j.sizes(), type).copy_(linear.j);
  }

  // The front as the host knows it: exact, or of an evaluation that is stop_lag() back.
  int64_t front() {
    if (width_ <= 1) return front_ = width_ < 1 ? tokens_ - 1 : given_;
    if (!looks_) return front_ = state_.front.item<int64_t>();
    if (given_ > 0) front_ = look_->look().value_or(front_);
    return front_;
  }

  // Read once, when the block is finished.
  const std::vector<kernels::WindowEvaluation>& evaluations() const {
    if (!evaluations_) {
      evaluations_ = width_ < 1 ? std::vector<kernels::WindowEvaluation>{}
                                : kernels::evaluations_of(state_.log, width_, tokens_);
    }
    return *evaluations_;
  }

  const Window plan_;
  const Evaluator& evaluator_;
  const int64_t tokens_, width_;
  const bool looks_;  // the front is known to the device alone
  kernels::WindowState state_;
  std::optional<DeviceLook> look_;
  int64_t front_ = 0;  // as the host knows it
  int given_ = 0;      // evaluations that the device was given
  mutable std::optional<std::vector<kernels::WindowEvaluation>> evaluations_;
};

}  // namespace

std::unique_ptr<Solver> make_solver(const Window& plan, const Inversion& inversion) {
  return std::make_unique<WindowSolver>(plan, inversion);
}

}  // namespace tarflow
