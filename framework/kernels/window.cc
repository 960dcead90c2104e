#include "framework/kernels/window.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "framework/kernels/neighbours.h"
#include "framework/kernels/position.h"

namespace tarflow::kernels {
namespace {

int64_t& entry(const at::Tensor& numbers, int64_t index) {
  return numbers.mutable_data_ptr<int64_t>()[index];
}

// Inputs of the window at the front.
int64_t inputs_at(const WindowState& state, int64_t front) {
  return std::clamp<int64_t>(state.x.size(1) - 1 - front, 0, state.width());
}

// n J + j0 of tokens [first, last).
at::Tensor predicted(const WindowState& state, int64_t first, int64_t last) {
  return at::matmul(neighbours_of(state.x, first, last, state.row), state.j) + state.j0;
}

// exp(a) z + g of tokens [first, first + n).
at::Tensor solved(const WindowState& state, const at::Tensor& theta, int64_t first) {
  const int64_t features = state.x.size(2);
  const at::Tensor a = theta.slice(2, 0, features), g = theta.slice(2, features);
  return a.exp().mul_(state.z.slice(1, first, first + theta.size(1))).add_(g);
}

// The same as a guess: clipped, and z where it is not a number.
at::Tensor proposed(const WindowState& state, const at::Tensor& theta, int64_t first) {
  const at::Tensor value = solved(state, theta, first),
                   z = state.z.slice(1, first, first + theta.size(1));
  const double clip = state.clip.item<float>();
  return at::where(value.isnan(), z, value).clamp_(-clip, clip);
}

// cfg t / (T - 1) of the tokens [first, last), (last - first, 1).
at::Tensor weights(const WindowState& state, int64_t first, int64_t last) {
  const double unit = state.cfg / static_cast<double>(state.x.size(1) - 1);
  return at::arange(first, last, state.z.options()).mul_(unit).unsqueeze(1);
}

// Tokens known + 1 .. last join the window: the token above, or in the first row the token before,
// stands for each of them.
void enter(const WindowState& state, int64_t known, int64_t last) {
  for (int64_t t = known + 1; t <= last; ++t) {
    const int64_t source = t > state.row ? t - state.row : t - 1;
    if (state.delta.defined()) state.delta.select(1, t).copy_(state.delta.select(1, source));
    if (state.linear()) {
      at::Tensor held = state.held.select(1, t);
      at::mul_out(held, state.held.select(1, t - 1), state.left);
      if (t > state.row) held.addcmul_(state.up, state.held.select(1, t - state.row));
    } else if (state.held.defined() && known > 0) {
      state.held.select(1, t).copy_(state.held.select(1, source));
      state.x.slice(1, t, t + 1).copy_(proposed(state, state.held.slice(1, t, t + 1), t));
    }
  }
}

// The linear system of the guesses of tokens [first, end): Jacobi iterations of it.
void sweep(const WindowState& state, int64_t first, int64_t end) {
  for (int i = 0; i < state.sweeps; ++i) {
    const at::Tensor theta = predicted(state, first, end) + state.held.slice(1, first, end);
    state.x.slice(1, first, end).copy_(proposed(state, theta, first));
  }
}

// The window at the front is made ready for its evaluation.
void prepare(const WindowState& state) {
  const int64_t front = entry(state.front, 0), known = entry(state.span, kKnown),
                last = front + inputs_at(state, front);
  enter(state, known, last);
  entry(state.span, kKnownBefore) = known;
  entry(state.span, kKnown) = std::max(known, last);
  if (state.linear() && last > front) sweep(state, front + 1, last + 1);
}

// Writes the settled tokens and the first one that is not; how many these are.
int64_t accept(const WindowState& state, const at::Tensor& theta, int64_t first) {
  const int64_t width = theta.size(1);
  const at::Tensor y = solved(state, theta, first);
  at::Tensor change = (y - state.x.slice(1, first, first + width)).square_().mean(2).sqrt_();
  change = at::where(state.lost.to(at::kBool).unsqueeze(1), at::zeros({}, change.options()), change)
               .amax(0);
  const float* const changes = change.const_data_ptr<float>();
  // A change that is not a number is not settled.
  const float tolerance = static_cast<float>(state.tolerance);
  const auto unsettled =
      std::find_if(changes, changes + width, [&](float value) { return !(value <= tolerance); });
  const int64_t settled = state.advance > 0 ? state.advance : unsettled - changes + 1,
                count = std::min(settled, width);
  const at::Tensor accepted = y.slice(1, 0, count);
  state.x.slice(1, first, first + count).copy_(accepted);
  state.lost.bitwise_or_((~accepted.isfinite().flatten(1).all(1)).to(at::kInt));
  return count;
}

// The outputs of the window, guided; a full evaluation also tells what guidance adds.
at::Tensor guided(const WindowState& state, const at::Tensor& conditional,
                  const at::Tensor& unconditional, int64_t first, int64_t width) {
  const at::Tensor theta = state.theta.slice(1, 0, width);
  theta.copy_(conditional.slice(1, 0, width));
  if (!state.delta.defined()) return theta;
  const at::Tensor delta = state.delta.slice(1, first, first + width);
  if (unconditional.defined()) delta.copy_(theta - unconditional.slice(1, 0, width));
  theta.addcmul_(weights(state, first, first + width), delta);
  return theta;
}

void log_evaluation(const WindowState& state, int64_t entry_value) {
  int64_t& count = entry(state.log, 0);
  if (++count < state.log.size(0)) entry(state.log, count) = entry_value;
}

}  // namespace

void window_begin_cpu(const WindowState& state) { prepare(state); }

void window_settle_cpu(const WindowState& state, const at::Tensor& conditional,
                       const at::Tensor& unconditional, bool half) {
  int64_t& front = entry(state.front, 0);
  const int64_t width = inputs_at(state, front), first = front + 1, end = first + width;
  entry(state.span, kFrontBefore) = front;
  entry(state.span, kInputs) = width;
  entry(state.span, kSettled) = 0;
  if (width == 0) return;
  const at::Tensor theta = guided(state, conditional, unconditional, first, width);
  if (state.linear()) {
    state.held.slice(1, first, end).copy_(theta - predicted(state, first, end));
  } else if (state.held.defined()) {
    state.held.slice(1, first, end).copy_(theta);
  }
  const int64_t settled = half ? 0 : accept(state, theta, first);
  if (settled < width) {
    state.x.slice(1, first + settled, end)
        .copy_(proposed(state, theta.slice(1, settled), first + settled));
  }
  entry(state.span, kSettled) = settled;
  front += settled;
  // A half evaluation of one input saves nothing: the full one that follows counts in its place.
  if (!half || width > 1) log_evaluation(state, half ? 0 : front);
  prepare(state);
}

void window_begin(const WindowState& state) {
  if (state.x.is_cuda()) return window_begin_cuda(state);
  window_begin_cpu(state);
}

void window_settle(const WindowState& state, const at::Tensor& conditional,
                   const at::Tensor& unconditional, bool half) {
  if (state.x.is_cuda()) return window_settle_cuda(state, conditional, unconditional, half);
  window_settle_cpu(state, conditional, unconditional, half);
}

std::vector<WindowEvaluation> evaluations_of(const at::Tensor& log, int64_t width, int64_t tokens) {
  const at::Tensor numbers = log.cpu();
  const int64_t* const entries = numbers.const_data_ptr<int64_t>();
  std::vector<WindowEvaluation> evaluations;
  int64_t front = 0;
  for (int64_t i = 1; i <= entries[0]; ++i) {
    evaluations.push_back({front, std::min(width, tokens - 1 - front), entries[i] > 0});
    front = std::max(front, entries[i]);
  }
  return evaluations;
}

#ifndef TARFLOW_USE_CUDA
void window_begin_cuda(const WindowState&) { no_cuda_kernels(); }
void window_settle_cuda(const WindowState&, const at::Tensor&, const at::Tensor&, bool) {
  no_cuda_kernels();
}
#endif

}  // namespace tarflow::kernels
