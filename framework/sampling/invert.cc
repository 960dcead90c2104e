#include "framework/sampling/invert.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "framework/core/error.h"
#include "framework/kernels/guided_update.h"
#include "framework/sampling/stop_watch.h"
#include "framework/tensor/range.h"

namespace tarflow {
namespace {

// One block's inversion under way.
class Inversion {
 public:
  Inversion(Evaluator& evaluator, const BlockStrategy& plan, const at::Tensor& z,
            const InvertOptions& options, BlockWork* work)
      : evaluator_(evaluator),
        plan_(plan),
        options_(options),
        work_(work),
        iterate_(evaluator.iterate_from(z)) {
    if (plan.sequential() || plan.guess == Guess::kZ) {
      iterate_.x.copy_(z);
    } else {
      iterate_.x.zero_();
      iterate_.x.slice(1, 0, 1).copy_(z.slice(1, 0, 1));
    }
    // An observer sees every iteration before the next one is begun.
    const int lag = options.observe ? 0 : evaluator.stop_lag();
    if (!plan.sequential() && (plan.stop != StopRule::kNone || options.observe)) {
      watch_.emplace(plan, iterate_, lag);
    }
  }

  void sequential() {
    const int64_t tokens = iterate_.z.size(1);
    for (int64_t t = 0; t + 1 < tokens; ++t) step(t, t + 1, /*clamp=*/0);
    work_->token_evaluations += tokens - 1;
    work_->iterations.push_back(static_cast<int>(tokens - 1));
  }

  // All tokens at once. The clamp acts on token 0 too.
  void jacobi() {
    const int64_t last = iterate_.z.size(1) - 1;
    iterate(0, {0, last}, [&](int done) {
      // Inputs 0..k-1 were final before evaluation k; a clamp that moves token 0 delays that by
      // one.
      const int64_t final_inputs = std::max(0, plan_.clamp > 0 ? done - 1 : done);
      const int64_t first = skip(final_inputs, last);
      step(first, last, plan_.clamp);
      if (done == 0 && plan_.clamp > 0) clamp_first_token();
      return last - first;
    });
  }

  // Jacobi inside a segment, over the finished prefix's keys and values. What the segment leaves in
  // the cache are those of its last evaluation's inputs.
  void segment(int index, const Segment& range) {
    iterate(index, range, [&](int done) {
      const int64_t first = range.first + skip(done, range.last - range.first);
      step(first, range.last, plan_.clamp);
      return range.last - first;
    });
  }

  at::Tensor x() const { return iterate_.x.clone(); }

 private:
  // Calls `evaluate(iterations done)`, which tells how many tokens it evaluated, until the stop or
  // the last iteration. Iterations that were begun before the stop was known do not count.
  template <typename Evaluate>
  void iterate(int index, const Segment& range, const Evaluate& evaluate) {
    if (watch_) watch_->start();
    std::vector<int64_t> tokens;
    while (static_cast<int>(tokens.size()) < plan_.max_iterations) {
      tokens.push_back(evaluate(static_cast<int>(tokens.size())));
      if (!watch_) continue;
      at::Tensor change;
      if (options_.observe) change = iterate_.change.cpu().clone();  // before it is set to zero
      const bool stopped = watch_->judge();
      if (options_.observe) {
        options_.observe({index, range, static_cast<int>(tokens.size()), iterate_.x,
                          change.const_data_ptr<double>()});
      }
      if (stopped) break;
    }
    const int done = watch_ ? watch_->finish(work_->residuals) : static_cast<int>(tokens.size());
    work_->iterations.push_back(done);
    work_->token_evaluations += std::accumulate(tokens.begin(), tokens.begin() + done, int64_t{0});
  }

  // How many leading inputs of `count` need no further evaluation, given that `final_inputs` were
  // final before the last one; at least one input is evaluated.
  int64_t skip(int64_t final_inputs, int64_t count) const {
    return evaluator_.skips_final_tokens(count) ? std::min(final_inputs, count - 1) : 0;
  }

  void step(int64_t first, int64_t last, double clamp) {
    const Range range("iteration");
    kernels::GuidedUpdate update;
    update.z = iterate_.z;
    update.x = iterate_.x;
    update.first = first;
    update.cfg = options_.cfg;
    update.clamp = clamp;
    if (watch_) {
      update.change = iterate_.change;
      update.stopped = iterate_.stopped;
    }
    evaluator_.advance(update, last);
  }

  void clamp_first_token() {
    at::Tensor token = iterate_.x.slice(1, 0, 1);
    const at::Tensor clamped = token.clamp(-plan_.clamp, plan_.clamp);
    if (watch_) {
      iterate_.change.add_((clamped - token).to(at::kDouble).square().sum(at::IntArrayRef{1, 2}));
    }
    token.copy_(clamped);
  }

  Evaluator& evaluator_;
  const BlockStrategy& plan_;
  const InvertOptions& options_;
  BlockWork* work_;
  Iterate& iterate_;
  std::optional<StopWatch> watch_;  // only where a stop needs it or somebody observes
};

}  // namespace

std::vector<Segment> segments(int64_t tokens, int count) {
  std::vector<Segment> list;
  for (int64_t i = 0; i < count; ++i) {
    const Segment range{i * tokens / count, std::min((i + 1) * tokens / count, tokens - 1)};
    if (range.first < range.last) list.push_back(range);  // the last token is never an input
  }
  return list;
}

at::Tensor invert_block(Evaluator& evaluator, const BlockStrategy& plan, const at::Tensor& z,
                        const InvertOptions& options, BlockWork* work) {
  if (plan.segments > z.size(1)) {
    throw Error(fmt::format("{} segments for {} tokens", plan.segments, z.size(1)),
                "a block has at most as many segments as tokens");
  }
  Inversion inversion(evaluator, plan, z, options, work);
  if (plan.sequential()) {
    inversion.sequential();
  } else if (plan.segments == 1) {
    inversion.jacobi();
  } else {
    int index = 0;
    for (const Segment& range : segments(z.size(1), plan.segments))
      inversion.segment(index++, range);
  }
  return inversion.x();
}

}  // namespace tarflow
