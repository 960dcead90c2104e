#include "framework/sampling/solvers/iterations.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "framework/kernels/residual.h"

namespace tarflow {

at::Tensor initial_guess(const Iterations& plan, const at::Tensor& z) {
  switch (plan.guess) {
    case Guess::kZ:
      return z;
    case Guess::kZero: {
      at::Tensor guess = at::zeros_like(z);
      guess.slice(1, 0, 1).copy_(z.slice(1, 0, 1));
      return guess;
    }
    case Guess::kAuto:
      break;
  }
  throw std::logic_error("the initial guess must be chosen before sampling");
}

IterationCount::IterationCount(const Iterations& plan, const Inversion& inversion)
    : evaluator_(inversion.evaluator),
      iterate_(inversion.iterate()),
      plan_(plan),
      measured_(plan.stop || inversion.observed),
      by_token_(plan.stop && plan.stop->norm != Norm::kPublished) {
  if (plan.max_iterations < 1) throw std::logic_error("a plan needs at least one iteration");
  Iterate& iterate = inversion.iterate();
  // An observer sees every iteration before the next one begins.
  const int lag = inversion.observed ? 0 : inversion.evaluator.stop_lag();
  if (plan.stop) look_.emplace(iterate.finished, static_cast<size_t>(lag));
  if (measured_) history_ = at::zeros({plan.max_iterations}, iterate.change.options());
  if (by_token_) {
    iterate.statistics = inversion.workspace().rows(
        "statistics", {inversion.tokens(), kernels::kStatistics}, at::kDouble);
  }
  iterate.x.copy_(initial_guess(plan, iterate.z));
}

void IterationCount::start(int segment, const Segment& range, const Segment& written) {
  segment_ = segment;
  range_ = range;
  written_ = written;
  submitted_ = 0;
  if (look_) look_->forget();
  if (!measured_) return;
  iterate_.change.zero_();
  iterate_.done.zero_();
  iterate_.stopped.zero_();
  iterate_.finished.zero_();
  if (!by_token_) return;
  // Tokens that are not written keep their size.
  iterate_.statistics.zero_();
  iterate_.statistics.select(2, kernels::kSize).copy_(iterate_.x.to(at::kDouble).square().sum(-1));
}

Step IterationCount::step(int64_t skipped) {
  Step step;
  step.place.first = range_.first + skipped;
  step.width = range_.last - step.place.first;
  if (measured_) step.stopped = iterate_.stopped;
  step.segment = segment_;
  step.range = range_;
  step.iteration = ++submitted_;
  return step;
}

bool IterationCount::ended() {
  if (submitted_ == 0) return false;
  const bool stopped = measured_ && judge();
  if (!stopped && submitted_ < plan_.max_iterations) return false;
  finish_segment();
  return true;
}

bool IterationCount::judge() {
  kernels::Residual work;
  work.change = iterate_.change;
  if (by_token_) work.statistics = iterate_.statistics;
  work.first = written_.first;
  work.last = written_.last;
  work.history = history_;
  work.done = iterate_.done;
  work.stopped = iterate_.stopped;
  work.finished = iterate_.finished;
  work.width = iterate_.x.size(2);
  work.stop = plan_.stop;
  kernels::residual(work);
  if (!plan_.stop) return false;
  return look_->look().value_or(0) != 0;
}

// Waits for the device if changes are measured.
void IterationCount::finish_segment() {
  if (look_) look_->forget();
  if (!measured_) {
    iterations_.push_back(submitted_);
    return;
  }
  const int done = iterate_.done.item<int>();
  const at::Tensor values = history_.slice(0, 0, done).cpu();
  const double* const first = values.const_data_ptr<double>();
  residuals_.insert(residuals_.end(), first, first + done);
  iterations_.push_back(done);
}

kernels::GuidedUpdate IterationCount::update(const Iterate& iterate, const Outputs& outputs,
                                             const Step& step) const {
  kernels::GuidedUpdate update = update_of(evaluator_, iterate, outputs, step);
  update.clamp = plan_.clamp;
  if (by_token_) update.statistics = iterate.statistics;
  if (by_image()) update.change = iterate.change;
  if (measured_) update.stopped = iterate.stopped;
  return update;
}

int64_t IterationCount::skip(int64_t final_inputs, int64_t count) const {
  return evaluator_.skips_final_tokens(count) ? std::min(final_inputs, count - 1) : 0;
}

std::vector<int64_t> IterationCount::key() const {
  return {std::bit_cast<int64_t>(plan_.clamp), int64_t{by_image()}, int64_t{by_token_}};
}

}  // namespace tarflow
