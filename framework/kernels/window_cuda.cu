// Every kernel reads the front from the device, so that one recorded graph serves a whole block.
#include <ATen/ops/mm.h>

#include <cmath>

#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/window.h"

namespace tarflow::kernels {
namespace {

constexpr int kThreads = 256, kWarp = 32;
constexpr int64_t kSharedBytes = 48 << 10;  // of a block, without asking for more

struct Arguments {
  const float* z;
  float *x, *held, *delta, *theta, *predicted;
  const float *j, *j0, *up, *left, *clip;
  int* lost;
  int* change;
  int64_t *front, *span, *log;
  int64_t images, tokens, log_size, advance;
  int depth, width, row, sweeps;
  float unit, tolerance;

  __device__ int inputs(int64_t at_front) const {
    return static_cast<int>(max(int64_t{0}, min(int64_t{width}, tokens - 1 - at_front)));
  }
  // exp(a) z + g of element d of token t.
  __device__ float solved(int64_t image, int64_t t, int d, float a, float g) const {
    return expf(a) * z[(image * tokens + t) * depth + d] + g;
  }
  // The same as a guess: clipped, and z where it is not a number.
  __device__ float proposed(int64_t image, int64_t t, int d, float a, float g) const {
    const float own = z[(image * tokens + t) * depth + d], value = expf(a) * own + g;
    const float bound = *clip;
    return fminf(fmaxf(isnan(value) ? own : value, -bound), bound);
  }
};

Arguments arguments_of(const WindowState& state) {
  Arguments a{};
  a.z = data_of<float>(state.z);
  a.x = out_of<float>(state.x);
  a.held = state.held.defined() ? out_of<float>(state.held) : nullptr;
  a.delta = state.delta.defined() ? out_of<float>(state.delta) : nullptr;
  a.theta = out_of<float>(state.theta);
  a.predicted = state.predicted.defined() ? out_of<float>(state.predicted) : nullptr;
  a.j = data_of<float>(state.j);
  a.j0 = data_of<float>(state.j0);
  a.up = data_of<float>(state.up);
  a.left = data_of<float>(state.left);
  a.clip = data_of<float>(state.clip);
  a.lost = out_of<int>(state.lost);
  a.change = out_of<int>(state.change);
  a.front = out_of<int64_t>(state.front);
  a.span = out_of<int64_t>(state.span);
  a.log = out_of<int64_t>(state.log);
  a.images = state.x.size(0);
  a.tokens = state.x.size(1);
  a.depth = static_cast<int>(state.x.size(2));
  a.width = static_cast<int>(state.width());
  a.row = static_cast<int>(state.row);
  a.sweeps = state.sweeps;
  a.log_size = state.log.size(0);
  a.advance = state.advance;
  a.unit = static_cast<float>(state.cfg / static_cast<double>(state.x.size(1) - 1));
  a.tolerance = static_cast<float>(state.tolerance);
  return a;
}

// One warp for each token of the window: its guided outputs, what guidance adds, the residual, and
// after a full evaluation how far the token moves. A change's bits as an integer are ordered as the
// change; one that is not a number is above all others.
template <typename Output>
__global__ void settle_kernel(Arguments all, const Output* conditional, const Output* unconditional,
                              int rows, bool half) {
  const int64_t image = blockIdx.y, front = *all.front;
  const int i = blockIdx.x * (kThreads / kWarp) + threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  if (i >= all.inputs(front)) return;
  const int64_t t = front + 1 + i, row = image * all.width + i, token = image * all.tokens + t,
                given = image * rows + i;
  const int depth = all.depth;
  const float weight = static_cast<float>(t) * all.unit;
  float squares = 0;
  for (int d = lane; d < depth; d += kWarp) {
    float out[2];
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int channel = part * depth + d;
      float value = as_float(conditional[given * 2 * depth + channel]);
      if (all.delta) {
        float* const delta = all.delta + token * 2 * depth + channel;
        if (unconditional) {
          *delta = value - as_float(unconditional[given * 2 * depth + channel]);
        }
        value += weight * *delta;
      }
      all.theta[row * 2 * depth + channel] = value;
      if (all.held) {
        const float known =
            all.j ? all.predicted[row * 2 * depth + channel] + all.j0[channel] : 0.0f;
        all.held[token * 2 * depth + channel] = value - known;
      }
      out[part] = value;
    }
    const float moved = all.solved(image, t, d, out[0], out[1]) - all.x[token * depth + d];
    squares += moved * moved;
  }
  if (half) return;
  for (int other = kWarp / 2; other > 0; other /= 2)
    squares += __shfl_xor_sync(0xffffffff, squares, other);
  if (lane > 0 || all.lost[image]) return;
  const float change = sqrtf(squares / static_cast<float>(depth));
  atomicMax(all.change + i, isnan(change) ? 0x7fc00000 : __float_as_int(change));
}

// One block of threads: how many tokens are settled, the first one that is not included, and the
// new front.
__global__ void accept_kernel(Arguments all, bool half) {
  __shared__ int unsettled;
  const int64_t front = *all.front;
  const int inputs = all.inputs(front);
  if (threadIdx.x == 0) unsettled = inputs;
  __syncthreads();
  for (int i = threadIdx.x; i < inputs; i += blockDim.x) {
    if (!(__int_as_float(all.change[i]) <= all.tolerance)) atomicMin(&unsettled, i);
    all.change[i] = 0;
  }
  __syncthreads();
  if (threadIdx.x > 0) return;
  const int64_t wanted = all.advance > 0 ? all.advance : unsettled + 1;
  const int64_t settled = half ? 0 : min(wanted, int64_t{inputs}), next = front + settled;
  all.span[kFrontBefore] = front;
  all.span[kInputs] = inputs;
  all.span[kSettled] = settled;
  const int64_t known = all.span[kKnown];
  all.span[kKnownBefore] = known;
  all.span[kKnown] = max(known, next + all.inputs(next));
  *all.front = next;
  // A half evaluation of one input saves nothing: the full one that follows counts in its place.
  if (inputs == 0 || (half && inputs == 1)) return;
  const int64_t count = ++all.log[0];
  if (count < all.log_size) all.log[count] = half ? 0 : next;
}

// The tokens of the window that was evaluated: those settled are final, the others take a guess.
__global__ void write_kernel(Arguments all) {
  const int64_t image = blockIdx.y, front = all.span[kFrontBefore];
  const int inputs = static_cast<int>(all.span[kInputs]), depth = all.depth,
            settled = static_cast<int>(all.span[kSettled]);
  for (int e = blockIdx.x * kThreads + threadIdx.x; e < inputs * depth; e += gridDim.x * kThreads) {
    const int i = e / depth, d = e % depth;
    const int64_t t = front + 1 + i, row = (image * all.width + i) * 2 * depth;
    const float a = all.theta[row + d], g = all.theta[row + depth + d];
    float value;
    if (i < settled) {
      value = all.solved(image, t, d, a, g);
      if (!isfinite(value)) all.lost[image] = 1;
    } else {
      value = all.proposed(image, t, d, a, g);
    }
    all.x[(image * all.tokens + t) * depth + d] = value;
  }
}

// Tokens join the window, one after another: the token above, or in the first row the token before,
// stands for each of them. A thread has one element d of all of them. What a token takes from the
// one before stays in registers, so that the loads of several tokens are under way at once.
__global__ void enter_kernel(Arguments all) {
  const int64_t item = int64_t{blockIdx.x} * kThreads + threadIdx.x, depth = all.depth;
  if (item >= all.images * depth) return;
  const int64_t image = item / depth, known = all.span[kKnownBefore], last = all.span[kKnown];
  const int d = static_cast<int>(item % depth);
  const bool copied = !all.j && all.held && known > 0;
  const int64_t first = (image * all.tokens + known) * 2 * depth + d;
  float held[2], delta[2];
#pragma unroll
  for (int part = 0; part < 2; ++part) {
    held[part] = all.held ? all.held[first + part * depth] : 0.0f;
    delta[part] = all.delta ? all.delta[first + part * depth] : 0.0f;
  }
#pragma unroll 4
  for (int64_t t = known + 1; t <= last; ++t) {
    const bool below = t > all.row;  // another row of the image
    const int64_t to = (image * all.tokens + t) * 2 * depth + d, above = to - 2 * depth * all.row;
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int64_t shift = part * depth;
      if (all.delta) {
        if (below) delta[part] = all.delta[above + shift];
        all.delta[to + shift] = delta[part];
      }
      if (all.j) {
        held[part] *= all.left[d + shift];
        if (below) held[part] += all.up[d + shift] * all.held[above + shift];
        all.held[to + shift] = held[part];
      } else if (copied) {
        if (below) held[part] = all.held[above + shift];
        all.held[to + shift] = held[part];
      }
    }
    if (copied) {
      all.x[(image * all.tokens + t) * depth + d] = all.proposed(image, t, d, held[0], held[1]);
    }
  }
}

// Distances back to the neighbours of a token, in the order of neighbours_of().
__device__ int64_t back_to(int k, int row) {
  return k == 0 ? 1 : k == 1 ? row : k == 2 ? row - 1 : row + 1;
}

// --- the linear model where a window's tokens and J fit into shared memory ---------------------

int64_t shared_bytes(const Arguments& all) {
  const int64_t weights = int64_t{8} * all.depth * all.depth,
                tokens = 2 * all.width + all.row + 1;  // the window twice, what is above it once
  return (weights + tokens * all.depth) * static_cast<int64_t>(sizeof(float));
}

// n J of element d of token t; token(t)[e] is element e of x_t.
template <typename Token>
__device__ void predict(const Arguments& all, const float* j, int64_t t, int d, const Token& token,
                        float& a, float& g) {
  const int depth = all.depth;
  a = g = 0;
  for (int k = 0; k < 4; ++k) {
    const int64_t from = t - back_to(k, all.row);
    if (from < 0) continue;
    const float* const x = token(from);
    const float* const weights = j + k * depth * 2 * depth + d;
    for (int e = 0; e < depth; ++e) {
      a += x[e] * weights[e * 2 * depth];
      g += x[e] * weights[e * 2 * depth + depth];
    }
  }
}

// One block of threads for each image. `sweeps` solves of the guesses, or, where there are none to
// make, the model's outputs for the tokens as they are.
__global__ void linear_kernel(Arguments all, bool guess) {
  extern __shared__ float shared[];
  const int64_t image = blockIdx.x, front = *all.front;
  const int inputs = all.inputs(front), depth = all.depth;
  if (inputs == 0) return;
  float* const j = shared;
  const int weights = 8 * depth * depth;
  for (int e = threadIdx.x; e < weights; e += kThreads) j[e] = all.j[e];
  // Tokens front - S .. front + inputs in `now`; the window's tokens front + 1 .. again in `next`.
  const int64_t start = max(int64_t{0}, front - all.row);
  const int count = static_cast<int>(front + inputs - start + 1), above = count - inputs;
  float* now = j + weights;
  float* next = now + (all.width + all.row + 1) * depth;
  float* const x = all.x + image * all.tokens * depth;
  for (int e = threadIdx.x; e < count * depth; e += kThreads) now[e] = x[start * depth + e];
  __syncthreads();
  const auto token = [&](int64_t t) { return now + (t - start) * depth; };
  for (int sweep = 0; sweep < (guess ? all.sweeps : 1); ++sweep) {
    for (int e = threadIdx.x; e < inputs * depth; e += kThreads) {
      const int i = e / depth, d = e % depth;
      const int64_t t = front + 1 + i;
      float a, g;
      predict(all, j, t, d, token, a, g);
      if (guess) {
        const float* const held = all.held + (image * all.tokens + t) * 2 * depth;
        next[e] = all.proposed(image, t, d, a + all.j0[d] + held[d],
                               g + all.j0[depth + d] + held[depth + d]);
      } else {
        float* const to = all.predicted + (image * all.width + i) * 2 * depth;
        to[d] = a;
        to[depth + d] = g;
      }
    }
    if (!guess) return;
    __syncthreads();
    for (int e = threadIdx.x; e < inputs * depth; e += kThreads) now[above * depth + e] = next[e];
    __syncthreads();
  }
  for (int e = threadIdx.x; e < inputs * depth; e += kThreads) x[(front + 1) * depth + e] = next[e];
}

// --- the linear model of wider tokens: a product of gathered neighbours ------------------------

template <typename T>
__global__ void neighbours_kernel(Arguments all, T* neighbours) {
  const int64_t image = blockIdx.y, front = *all.front;
  const int depth = all.depth, items = all.inputs(front) * 4 * depth;
  for (int e = blockIdx.x * kThreads + threadIdx.x; e < items; e += gridDim.x * kThreads) {
    const int i = e / (4 * depth), k = e / depth % 4, d = e % depth;
    const int64_t from = front + 1 + i - back_to(k, all.row);
    neighbours[(image * all.width) * 4 * depth + e] =
        from_float<T>(from < 0 ? 0.0f : all.x[(image * all.tokens + from) * depth + d]);
  }
}

__global__ void propose_kernel(Arguments all) {
  const int64_t image = blockIdx.y, front = *all.front;
  const int depth = all.depth, items = all.inputs(front) * depth;
  for (int e = blockIdx.x * kThreads + threadIdx.x; e < items; e += gridDim.x * kThreads) {
    const int i = e / depth, d = e % depth;
    const int64_t t = front + 1 + i, token = image * all.tokens + t;
    const float* const predicted = all.predicted + (image * all.width + i) * 2 * depth;
    const float* const held = all.held + token * 2 * depth;
    all.x[token * depth + d] =
        all.proposed(image, t, d, predicted[d] + all.j0[d] + held[d],
                     predicted[depth + d] + all.j0[depth + d] + held[depth + d]);
  }
}

// --- launching ---------------------------------------------------------------------------------

// Blocks of a grid whose second dimension counts images.
dim3 grid_of(const Arguments& all, int64_t items) {
  return {blocks_for(items, kThreads), static_cast<unsigned>(all.images)};
}

bool fits(const Arguments& all) { return shared_bytes(all) <= kSharedBytes; }

void launch_linear(const Arguments& all, bool guess) {
  linear_kernel<<<static_cast<unsigned>(all.images), kThreads,
                  static_cast<size_t>(shared_bytes(all)), stream()>>>(all, guess);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

// Leaves n J of the window's tokens in `predicted`.
void predict_outputs(const WindowState& state, const Arguments& all) {
  if (fits(all)) return launch_linear(all, /*guess=*/false);
  by_type(state.neighbours, [&](auto type) {
    using T = decltype(type);
    neighbours_kernel<T>
        <<<grid_of(all, int64_t{all.width} * 4 * all.depth), kThreads, 0, stream()>>>(
            all, out_of<T>(state.neighbours));
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  const at::Tensor rows = state.neighbours.view({-1, 4 * all.depth});
  at::Tensor out = state.predicted.view({-1, 2 * all.depth});
  if (rows.scalar_type() == at::kFloat) {
    at::mm_out(out, rows, state.j);
  } else {
    at::mm_out(out, rows, state.j_rounded, /*out_dtype=*/at::kFloat);
  }
}

void sweep(const WindowState& state, const Arguments& all) {
  if (fits(all)) return launch_linear(all, /*guess=*/true);
  for (int i = 0; i < state.sweeps; ++i) {
    predict_outputs(state, all);
    propose_kernel<<<grid_of(all, int64_t{all.width} * all.depth), kThreads, 0, stream()>>>(all);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
}

// Once the accept kernel has told which tokens join the window.
void prepare(const WindowState& state, const Arguments& all) {
  enter_kernel<<<blocks_for(all.images * all.depth, kThreads), kThreads, 0, stream()>>>(all);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  if (state.linear() && state.sweeps > 0) sweep(state, all);
}

void accept(const Arguments& all, bool half) {
  accept_kernel<<<1, kThreads, 0, stream()>>>(all, half);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

void require_state(const WindowState& state) {
  require_contiguous({state.z, state.x, state.held, state.delta, state.theta, state.predicted,
                      state.neighbours, state.j, state.j_rounded, state.j0, state.up, state.left});
  TORCH_CHECK(int64_t{state.width()} * 4 * state.x.size(2) < int64_t{1} << 31,
              "a window has 2^31 elements");
}

}  // namespace

// As after a half evaluation, which moves no front: the first window's tokens join.
void window_begin_cuda(const WindowState& state) {
  const c10::cuda::CUDAGuard guard(state.x.device());
  require_state(state);
  const Arguments all = arguments_of(state);
  accept(all, /*half=*/true);
  at::Tensor(state.log).zero_();
  prepare(state, all);
}

void window_settle_cuda(const WindowState& state, const at::Tensor& conditional,
                        const at::Tensor& unconditional, bool half) {
  const c10::cuda::CUDAGuard guard(state.x.device());
  require_state(state);
  const Arguments all = arguments_of(state);
  if (state.linear()) predict_outputs(state, all);
  const at::Tensor given = conditional.contiguous(),
                   other = unconditional.defined() ? unconditional.contiguous() : at::Tensor();
  constexpr int kTokens = kThreads / kWarp;  // of a block
  const dim3 grid(static_cast<unsigned>((all.width + kTokens - 1) / kTokens),
                  static_cast<unsigned>(all.images));
  by_type(given, [&](auto type) {
    using Output = decltype(type);
    settle_kernel<Output><<<grid, kThreads, 0, stream()>>>(
        all, data_of<Output>(given), data_of<Output>(other), static_cast<int>(given.size(1)), half);
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  accept(all, half);
  write_kernel<<<grid_of(all, int64_t{all.width} * all.depth), kThreads, 0, stream()>>>(all);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  prepare(state, all);
}

}  // namespace tarflow::kernels
