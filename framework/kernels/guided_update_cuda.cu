#include <ATen/ops/empty.h>

#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/guided_update.h"

namespace tarflow::kernels {
namespace {

constexpr int kThreads = 256;
// The most blocks per image: without a sum of changes, and with one.
constexpr int64_t kMostBlocks = 64, kMostSummedBlocks = 16;
constexpr int64_t kSummedElements = 32;  // per thread, if changes are summed

// The operands of the update. Only `x` may be the same memory as `out`.
template <typename Output>
struct Operands {
  const Output* __restrict__ conditional;    // (N, n, 2D)
  const Output* __restrict__ unconditional;  // the same shape, or null
  const float* __restrict__ z;
  const float* x;
  float* out;  // x, or other memory
  int64_t tokens, width, n;
  DevicePosition place;
  float cfg, clamp;
  const int* stopped;  // (N), or null

  __device__ __forceinline__ bool frozen(int64_t image) const { return stopped && stopped[image]; }

  // The new value of feature d of token first + 1 + i. All operands are read before the arithmetic:
  // a short segment has few threads, so a thread would wait for each read that depends on another.
  __device__ __forceinline__ float next(int64_t image, int64_t i, int64_t token, int64_t d) const {
    const int64_t row = (image * n + i) * 2 * width;
    const float latent = z[(image * tokens + token) * width + d];
    float a = as_float(conditional[row + d]), g = as_float(conditional[row + width + d]);
    if (unconditional) {
      const float other_a = as_float(unconditional[row + d]),
                  other_g = as_float(unconditional[row + width + d]);
      const float weight = cfg * static_cast<float>(token) / static_cast<float>(tokens - 1);
      a += weight * (a - other_a);
      g += weight * (g - other_g);
    }
    float value = expf(a) * latent + g;
    if (clamp > 0) {
      value = value < -clamp ? -clamp : value;  // NaN stays NaN
      value = value > clamp ? clamp : value;
    }
    return value;
  }
};

// Grid: (blocks per image, N). A block updates tokens first + 1 .. first + n of image blockIdx.y in
// a grid-stride loop. It writes its sum of squared changes to `change`, unless that is null.
template <typename Output>
__global__ void update_kernel(const __grid_constant__ Operands<Output> all, double* change) {
  const int64_t image = blockIdx.y;
  if (all.frozen(image)) return;
  const int64_t first = all.place.token();
  // 32 bits: a division of 64-bit numbers would take longer than the rest of the kernel.
  const unsigned width = static_cast<unsigned>(all.width),
                 elements = static_cast<unsigned>(all.n) * width;
  float squares = 0;
  for (unsigned e = blockIdx.x * kThreads + threadIdx.x; e < elements; e += gridDim.x * kThreads) {
    const int64_t i = e / width, d = e % width, token = first + 1 + i;
    if (token >= all.tokens) break;
    const int64_t place = (image * all.tokens + token) * all.width + d;
    const float before = all.x[place], next = all.next(image, i, token, d), moved = next - before;
    squares += moved * moved;
    all.out[place] = next;
  }
  if (!change) return;
  __shared__ double sums[kThreads];
  sums[threadIdx.x] = squares;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) change[image * gridDim.x + blockIdx.x] = sums[0];
}

// Grid: (blocks per image, N); one warp per token. The same update as update_kernel. It writes the
// statistics of each token.
template <typename Output>
__global__ void measured_kernel(const __grid_constant__ Operands<Output> all, double* statistics) {
  constexpr int kWarp = 32;
  const int64_t image = blockIdx.y, lane = threadIdx.x % kWarp,
                i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / kWarp,
                token = all.place.token() + 1 + i;
  if (all.frozen(image) || i >= all.n || token >= all.tokens) return;  // the whole warp
  double squares = 0, largest = 0, size = 0;
  for (int64_t d = lane; d < all.width; d += kWarp) {
    const int64_t place = (image * all.tokens + token) * all.width + d;
    const float before = all.x[place], next = all.next(image, i, token, d), moved = next - before;
    squares += double{moved} * moved;
    largest = isnan(largest) || largest >= fabsf(moved) ? largest : fabsf(moved);
    size += double{next} * next;
    all.out[place] = next;
  }
  for (int other = kWarp / 2; other > 0; other /= 2) {
    squares += __shfl_xor_sync(0xffffffff, squares, other);
    size += __shfl_xor_sync(0xffffffff, size, other);
    const double theirs = __shfl_xor_sync(0xffffffff, largest, other);
    largest = isnan(largest) || largest >= theirs ? largest : theirs;
  }
  if (lane > 0) return;
  double* const entry = statistics + (image * all.tokens + token) * kStatistics;
  entry[kSquares] = squares;
  entry[kLargest] = largest;
  entry[kSize] = size;
}

// Adds the sums of an image's blocks in a fixed order, so that the result has the same bits every
// time.
__global__ void sum_kernel(const double* parts, int blocks, double* change, int64_t images,
                           const int* stopped) {
  const int64_t image = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (image >= images || (stopped && stopped[image])) return;
  double sum = 0;
  for (int i = 0; i < blocks; ++i) sum += parts[image * blocks + i];
  change[image] += sum;
}

template <typename Output>
Operands<Output> operands_of(const GuidedUpdate& update, const at::Tensor& conditional,
                             const at::Tensor& unconditional) {
  const at::Tensor& out = update.out.defined() ? update.out : update.x;
  return {data_of<Output>(conditional),
          data_of<Output>(unconditional),
          update.z.const_data_ptr<float>(),
          update.x.const_data_ptr<float>(),
          out.mutable_data_ptr<float>(),
          update.x.size(1),
          update.x.size(2),
          conditional.size(1),
          on_device({update.first, update.counter}),
          static_cast<float>(update.cfg),
          static_cast<float>(update.clamp),
          flag_of(update.stopped)};
}

template <typename Output>
void launch_measured(const GuidedUpdate& update, const Operands<Output>& all) {
  constexpr int64_t kTokens = kThreads / 32;  // per block
  const dim3 grid(static_cast<unsigned>((all.n + kTokens - 1) / kTokens),
                  static_cast<unsigned>(update.x.size(0)));
  measured_kernel<Output><<<grid, kThreads, 0, stream()>>>(all, out_of<double>(update.statistics));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename Output>
void launch(const GuidedUpdate& update, const Operands<Output>& all) {
  if (update.statistics.defined()) return launch_measured(update, all);
  const int64_t images = update.x.size(0);
  const bool summed = update.change.defined();
  // The number of blocks follows from one image: the number of images must not change a sum's bits.
  const int64_t elements = all.n * all.width, each = kThreads * (summed ? kSummedElements : 1),
                blocks = std::clamp<int64_t>((elements + each - 1) / each, 1,
                                             summed ? kMostSummedBlocks : kMostBlocks);
  at::Tensor parts;
  if (summed) parts = at::empty({images, blocks}, update.change.options());
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(images));
  update_kernel<Output>
      <<<grid, kThreads, 0, stream()>>>(all, summed ? out_of<double>(parts) : nullptr);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  if (!summed) return;
  sum_kernel<<<blocks_for(images, kThreads), kThreads, 0, stream()>>>(
      data_of<double>(parts), static_cast<int>(blocks), out_of<double>(update.change), images,
      flag_of(update.stopped));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

void guided_update_cuda(const GuidedUpdate& update) {
  const c10::cuda::CUDAGuard guard(update.x.device());
  require_contiguous({update.z, update.x, update.out, update.statistics});
  TORCH_CHECK(update.x.size(1) * update.x.size(2) < int64_t{1} << 31,
              "an image must have fewer than 2^31 elements");
  const at::Tensor conditional = update.conditional.contiguous();
  const at::Tensor unconditional =
      update.unconditional.defined() ? update.unconditional.contiguous() : at::Tensor();
  by_type(conditional, [&](auto type) {
    using Output = decltype(type);
    launch<Output>(update, operands_of<Output>(update, conditional, unconditional));
  });
}

}  // namespace tarflow::kernels
