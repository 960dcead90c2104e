#include "framework/sampling/invert.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/core/error.h"
#include "framework/kernels/guided_update.h"

namespace tarflow {
namespace {

// One block's inversion under way.
class Inversion {
 public:
  Inversion(Evaluator& evaluator, const BlockStrategy& plan, const at::Tensor& z,
            const InvertOptions& options, BlockWork* work)
      : evaluator_(evaluator), plan_(plan), z_(z), options_(options), work_(work), x_(initial()) {
    if (plan.stop != StopRule::kNone || options.observe) {
      change_ = at::zeros({z.size(0)}, z.options().dtype(at::kDouble));
    }
  }

  void sequential() {
    const int64_t tokens = z_.size(1);
    for (int64_t t = 0; t + 1 < tokens; ++t) step(t, t + 1, /*clamp=*/0);
    work_->iterations.push_back(static_cast<int>(tokens - 1));
  }

  // All tokens at once. The clamp acts on token 0 too.
  void jacobi() {
    const int64_t last = z_.size(1) - 1;
    int done = 0;
    while (done < plan_.max_iterations) {
      // Inputs 0..k-1 were final before evaluation k; a clamp that moves token 0 delays that by
      // one.
      const int64_t final_inputs = std::max(0, plan_.clamp > 0 ? done - 1 : done);
      step(skip(final_inputs, last), last, plan_.clamp);
      if (done == 0 && plan_.clamp > 0) clamp_first_token();
      ++done;
      if (stopped({0, {0, last}, done, x_})) break;
    }
    work_->iterations.push_back(done);
  }

  // Jacobi inside a segment, over the finished prefix's keys and values. What the segment leaves in
  // the cache are those of its last evaluation's inputs.
  void segment(int index, const Segment& range) {
    int done = 0;
    while (done < plan_.max_iterations) {
      step(range.first + skip(done, range.last - range.first), range.last, plan_.clamp);
      ++done;
      if (stopped({index, range, done, x_})) break;
    }
    work_->iterations.push_back(done);
  }

  const at::Tensor& x() const { return x_; }

 private:
  at::Tensor initial() const {
    if (plan_.sequential() || plan_.guess == Guess::kZ) return z_.clone();
    at::Tensor x = at::zeros_like(z_);
    x.slice(1, 0, 1).copy_(z_.slice(1, 0, 1));
    return x;
  }

  // How many leading inputs of `count` need no further evaluation, given that `final_inputs` were
  // final before the last one; at least one input is evaluated.
  int64_t skip(int64_t final_inputs, int64_t count) const {
    return evaluator_.skips_final_tokens() ? std::min(final_inputs, count - 1) : 0;
  }

  void step(int64_t first, int64_t last, double clamp) {
    kernels::GuidedUpdate update;
    update.outputs = evaluator_.evaluate(x_, first, last);
    update.z = z_;
    update.x = x_;
    update.first = first;
    update.cfg = options_.cfg;
    update.clamp = clamp;
    update.change = change_;
    kernels::guided_update(update);
    work_->token_evaluations += last - first;
  }

  void clamp_first_token() {
    at::Tensor token = x_.slice(1, 0, 1);
    const at::Tensor clamped = token.clamp(-plan_.clamp, plan_.clamp);
    if (change_.defined())
      change_.add_((clamped - token).to(at::kDouble).square().sum(at::IntArrayRef{1, 2}));
    token.copy_(clamped);
  }

  // Reads the residual of the iteration just done, if anyone wants it, and tells whether it is
  // small enough.
  bool stopped(Iteration iteration) {
    if (!change_.defined()) return false;
    // Summed in image order, so that the sum does not depend on how the images were computed.
    const at::Tensor sums = change_.cpu();
    const double* values = sums.const_data_ptr<double>();
    double total = 0;
    for (int64_t i = 0; i < sums.numel(); ++i) total += values[i];
    const double residual = std::sqrt(total) / static_cast<double>(z_.size(0) * z_.size(2));
    work_->residuals.push_back(residual);
    if (options_.observe) {
      iteration.change = values;
      options_.observe(iteration);
    }
    change_.zero_();  // on a CPU `values` are its own
    // As the published loop, which goes on while the difference is greater: not-a-number stops.
    return plan_.stop == StopRule::kPublished && !(residual > plan_.stop_threshold);
  }

  Evaluator& evaluator_;
  const BlockStrategy& plan_;
  const at::Tensor& z_;
  const InvertOptions& options_;
  BlockWork* work_;
  at::Tensor x_;
  at::Tensor change_;
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
