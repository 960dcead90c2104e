#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include "framework/kernels/column_sums.cuh"
#include "framework/kernels/stream_norm.h"
#include "framework/kernels/stream_norm_row.h"

namespace tarflow::kernels {
namespace {

// Threads of a block.
template <int kTeam>
constexpr int kThreadsFor = kTeam == kWarpTeam ? 128 : kTeam;

// Adds up over a team; every thread of it gets the same bits. A team of a whole block calls it with
// all threads.
template <int kTeam>
class TeamSum {
 public:
  __device__ float2 operator()(float2 value) {
#pragma unroll
    for (int offset = kWarpTeam / 2; offset > 0; offset /= 2) {
      value.x += __shfl_xor_sync(0xffffffffu, value.x, offset);
      value.y += __shfl_xor_sync(0xffffffffu, value.y, offset);
    }
    if constexpr (kTeam > kWarpTeam) {
      constexpr int kWarps = kTeam / kWarpTeam;
      // Two rooms in turn: who writes one again has passed the barrier after all have read it.
      __shared__ float2 rooms[2][kWarps];
      float2* const room = rooms[turn_];
      turn_ ^= 1;
      if (threadIdx.x % kWarpTeam == 0) room[threadIdx.x / kWarpTeam] = value;
      __syncthreads();
      value = room[0];
      for (int warp = 1; warp < kWarps; ++warp) {
        value.x += room[warp].x;
        value.y += room[warp].y;
      }
    }
    return value;
  }
  __device__ float operator()(float value) { return (*this)(float2{value, 0}).x; }

 private:
  int turn_ = 0;
};

// Which rows a team has: `first`, `first + teams`, ...
template <int kTeam>
struct Team {
  static constexpr int kInBlock = kThreadsFor<kTeam> / kTeam;
  int64_t first, teams;
  TeamPlace place;

  __device__ explicit Team(int channels)
      : first(int64_t{blockIdx.x} * kInBlock + threadIdx.x / kTeam),
        teams(int64_t{gridDim.x} * kInBlock),
        place{static_cast<int>(threadIdx.x) % kTeam, kTeam, channels / 4} {}
};

template <typename T, typename Shape>
__global__ void __launch_bounds__(kThreadsFor<Shape::kThreads>)
    stream_norm_forward_kernel(StreamNormRows<T> a) {
  const Team<Shape::kThreads> team(a.channels);
  TeamSum<Shape::kThreads> sum;
  StreamNormThread<T, Shape::kQuads> thread;
  for (int64_t row = team.first; row < a.rows; row += team.teams) {
    const float mean = sum(thread.begin(a, row, team.place)) / static_cast<float>(a.channels);
    const float squares = sum(thread.squares(team.place, mean));
    thread.end(a, row, team.place, mean, squares);
  }
}

template <typename T, typename Shape>
__global__ void __launch_bounds__(kThreadsFor<Shape::kThreads>)
    stream_norm_backward_kernel(StreamNormBackwardRows<T> a) {
  const Team<Shape::kThreads> team(a.channels);
  TeamSum<Shape::kThreads> sum;
  StreamNormBackwardThread<T, Shape::kQuads> thread;
  thread.start(a, team.place);
  for (int64_t row = team.first; row < a.rows; row += team.teams) {
    const GradientSums own = thread.begin(a, row, team.place);
    const float2 all = sum(float2{own.scaled, own.along});
    thread.end(a, row, team.place, {all.x, all.y});
  }
  thread.leave(a, team.first, team.place);
}

template <typename T>
void launch_forward(const StreamNorm& work, const StreamNormOutputs& out) {
  const int64_t channels = work.h.size(-1);
  const StreamNormRows<T> a{data_of<float>(work.h),
                            data_of<T>(work.added),
                            work.added.defined() ? out_of<float>(out.sum) : nullptr,
                            data_of<float>(work.weight),
                            data_of<float>(work.bias),
                            out_of<T>(out.normed),
                            out_of<float>(out.mean),
                            out_of<float>(out.inverse),
                            work.h.numel() / channels,
                            static_cast<int>(channels)};
  by_width(channels, [&](auto shape) {
    using Shape = decltype(shape);
    const unsigned blocks = blocks_for(a.rows, Team<Shape::kThreads>::kInBlock);
    stream_norm_forward_kernel<T, Shape><<<blocks, kThreadsFor<Shape::kThreads>, 0, stream()>>>(a);
  });
}

// Returns the sums over rows, (3 C) fp32.
template <typename T>
at::Tensor launch_backward(const StreamNormBackward& work, const StreamNormGradients& out) {
  const int64_t channels = work.sum.size(-1), rows = work.sum.numel() / channels;
  at::Tensor partial;
  by_width(channels, [&](auto shape) {
    using Shape = decltype(shape);
    constexpr int kThreads = kThreadsFor<Shape::kThreads>, kTeams = Team<Shape::kThreads>::kInBlock;
    const int64_t blocks = std::min<int64_t>(
        blocks_for(rows, kTeams), resident_blocks(stream_norm_backward_kernel<T, Shape>, kThreads));
    partial = at::empty({blocks * kTeams, 3 * channels}, work.weight.options());
    const bool cast = work.added && !std::is_same_v<T, float>;
    stream_norm_backward_kernel<T, Shape><<<static_cast<unsigned>(blocks), kThreads, 0, stream()>>>(
        {data_of<float>(work.sum), data_of<float>(work.mean), data_of<float>(work.inverse),
         data_of<float>(work.weight), data_of<T>(work.normed), data_of<float>(work.past),
         out_of<float>(out.h), cast ? out_of<T>(out.added) : nullptr, out_of<float>(partial), rows,
         static_cast<int>(channels)});
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return sum_of_parts(partial);
}

void require_parameters(const at::Tensor& stream, const at::Tensor& weight,
                        const at::Tensor& bias) {
  const auto fits = [&](const at::Tensor& tensor) {
    return tensor.scalar_type() == at::kFloat && tensor.numel() == stream.size(-1);
  };
  TORCH_CHECK(stream.scalar_type() == at::kFloat && fits(weight) && fits(bias),
              "stream_norm needs a stream in float32, and a weight and a bias of its channels");
}

}  // namespace

StreamNormOutputs stream_norm_cuda(const StreamNorm& work) {
  const c10::cuda::CUDAGuard guard(work.h.device());
  const int64_t channels = work.h.size(-1), rows = work.h.numel() / channels;
  require_parameters(work.h, work.weight, work.bias);
  TORCH_CHECK(!work.added.defined() ||
                  (work.added.scalar_type() == work.type && work.added.sizes() == work.h.sizes()),
              "stream_norm adds what has the compute type and the stream's shape");
  const StreamNormOutputs out{work.added.defined() ? at::empty_like(work.h) : work.h,
                              at::empty(work.h.sizes(), work.h.options().dtype(work.type)),
                              at::empty({rows}, work.h.options()),
                              at::empty({rows}, work.h.options())};
  require_aligned({work.h, work.added, work.weight, work.bias, out.sum, out.normed});
  if (rows == 0) return out;
  by_common_type(out.normed, [&](auto type) { launch_forward<decltype(type)>(work, out); });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

StreamNormGradients stream_norm_backward_cuda(const StreamNormBackward& work) {
  const c10::cuda::CUDAGuard guard(work.sum.device());
  const int64_t channels = work.sum.size(-1);
  const at::ScalarType type = work.normed.scalar_type();
  require_parameters(work.sum, work.weight, work.bias);
  StreamNormGradients out;
  out.h = at::empty_like(work.sum);
  if (work.added) out.added = type == at::kFloat ? out.h : at::empty_like(work.normed);
  TORCH_CHECK(work.normed.sizes() == work.sum.sizes() &&
                  (!work.past.defined() || (work.past.sizes() == work.sum.sizes() &&
                                            work.past.scalar_type() == at::kFloat)),
              "stream_norm needs gradients of the stream's shape, its own in float32");
  require_aligned({work.sum, work.weight, work.normed, work.past, out.h, out.added});
  at::Tensor sums;
  if (work.sum.numel() == 0) {
    sums = at::zeros({3 * channels}, work.weight.options());
  } else {
    by_common_type(work.normed, [&](auto t) { sums = launch_backward<decltype(t)>(work, out); });
  }
  out.weight = sums.slice(0, 0, channels);
  out.bias = sums.slice(0, channels, 2 * channels);
  if (work.added) out.added_bias = sums.slice(0, 2 * channels).to(type);
  return out;
}

}  // namespace tarflow::kernels
