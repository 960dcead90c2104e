// The adaptive window beside the network (docs/method.md section 7): which tokens an evaluation has
// settled, and what stands for those that are not final.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace tarflow::kernels {

// The state of a block of N images lies on the device, the front included, so that the host need
// not wait for an evaluation. N images, T tokens, D values per token, W inputs per evaluation.
struct WindowState {
  at::Tensor z, x;   // (N, T, D) fp32; tokens 0 .. front of x are final
  at::Tensor held;   // (N, T, 2D) fp32: residuals of the linear model, or without one the last
                     // outputs; undefined where a guess is z
  at::Tensor delta;  // (N, T, 2D) fp32: conditional minus unconditional; undefined: no guidance
  at::Tensor lost;   // (N) int32: raised for an image that is not finite for good
  at::Tensor front;  // (1) int64
  at::Tensor span;   // (kSpan) int64, see below
  at::Tensor log;    // (1 + most) int64: how many evaluations counted, then for each of them the
                     // front after it, or 0 where only the conditional pass was evaluated
  at::Tensor change;  // (W) int32: the bits of each token's largest change, as floats; scratch
  at::Tensor theta;   // (N, W, 2D) fp32: outputs of the window, guided; scratch

  // The linear model; undefined without one.
  at::Tensor j, j0;     // (4D, 2D), (2D) fp32
  at::Tensor up, left;  // (2D) fp32
  at::Tensor clip;      // (1) fp32: guesses are clipped to [-clip, clip]; always defined
  at::Tensor predicted;   // (N, W, 2D) fp32: n J; scratch, on GPUs alone
  // Likewise, where a window's tokens and J are too many values for one kernel: (N, W, 4D) of the
  // compute type; and in bf16 J rounded to bf16. This changes guesses only.
  at::Tensor neighbours, j_rounded;

  int64_t row = 0;     // S: tokens per row of the image
  int sweeps = 0;      // solves of the linear model's system
  double tolerance = 0;
  double cfg = 0;       // guidance weight of token t: cfg t / (T - 1)
  int64_t advance = 0;  // above 0: a full evaluation settles so many tokens whatever their change

  int64_t width() const { return theta.size(1); }
  bool linear() const { return j.defined(); }
};
// Entries of WindowState::span: the front and the inputs of the evaluation that was settled last,
// how many tokens it settled, and which tokens, 1 .. known, have been in a window: before it, and
// now.
enum WindowSpan : int64_t { kFrontBefore, kInputs, kSettled, kKnownBefore, kKnown, kSpan };

// Before a block's first evaluation: the first window's tokens join it. x is z, all else zeros.
void window_begin(const WindowState& state);

// What follows from an evaluation of the inputs front .. front + W - 1. `conditional` and
// `unconditional` are (N, n, 2D) of the compute type, where n is W or the number of inputs that are
// left before the last token; rows beyond those inputs are not read. `unconditional` is undefined
// if there is no guidance, or if `half`: only the conditional pass was evaluated. The front moves
// on, tokens that are not final take their next guess, and further ones join.
void window_settle(const WindowState& state, const at::Tensor& conditional,
                   const at::Tensor& unconditional, bool half);

// Both twins; the device of x decides.
void window_begin_cpu(const WindowState& state);
void window_begin_cuda(const WindowState& state);
void window_settle_cpu(const WindowState& state, const at::Tensor& conditional,
                       const at::Tensor& unconditional, bool half);
void window_settle_cuda(const WindowState& state, const at::Tensor& conditional,
                        const at::Tensor& unconditional, bool half);

// The evaluations of a log: the inputs' place and number, and whether one was full.
struct WindowEvaluation {
  int64_t front = 0, inputs = 0;
  bool full = true;
};
// In order; `width` is W. Waits for the device.
std::vector<WindowEvaluation> evaluations_of(const at::Tensor& log, int64_t width, int64_t tokens);

}  // namespace tarflow::kernels
