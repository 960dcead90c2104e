#include <ATen/ops/empty.h>

#include "framework/kernels/cuda_common.cuh"
#include "framework/kernels/guided_update.h"

namespace tarflow::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 64, kMostSummed = 16;  // of an image; where the change is summed
constexpr int64_t kElementsEach = 32;                  // of a thread, where the change is summed

// Grid (blocks an image, N). Elements of tokens first+1 .. first+n of image blockIdx.y, in a
// grid-stride loop. `change` takes the sum of each block.
template <typename Output>
__global__ void update_kernel(const Output* outputs, const float* z, float* x, double* change,
                              int64_t images, int64_t tokens, int64_t width, int64_t n,
                              DevicePosition place, float cfg, float clamp, bool guided,
                              const int* stopped) {
  if (stopped && *stopped) return;
  const int64_t first = place.token();
  const int64_t image = blockIdx.y;
  float squares = 0;
  for (int64_t e = int64_t{blockIdx.x} * kThreads + threadIdx.x; e < n * width;
       e += int64_t{gridDim.x} * kThreads) {
    const int64_t i = e / width, d = e % width, token = first + 1 + i;
    if (token >= tokens) break;
    const Output* conditional = outputs + (image * n + i) * 2 * width;
    float a = as_float(conditional[d]), g = as_float(conditional[width + d]);
    if (guided) {
      const Output* unconditional = outputs + ((images + image) * n + i) * 2 * width;
      const float weight = cfg * static_cast<float>(token) / static_cast<float>(tokens - 1);
      a += weight * (a - as_float(unconditional[d]));
      g += weight * (g - as_float(unconditional[width + d]));
    }
    const int64_t at = (image * tokens + token) * width + d;
    float next = expf(a) * z[at] + g;
    if (clamp > 0) {
      next = next < -clamp ? -clamp : next;  // NaN stays NaN
      next = next > clamp ? clamp : next;
    }
    const float moved = next - x[at];
    squares += moved * moved;
    x[at] = next;
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

// Adds an image's blocks in their order, so that a sum has the same bits every time.
__global__ void sum_kernel(const double* parts, int blocks, double* change, int64_t images,
                           const int* stopped) {
  const int64_t image = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (image >= images || (stopped && *stopped)) return;
  double sum = 0;
  for (int i = 0; i < blocks; ++i) sum += parts[image * blocks + i];
  change[image] += sum;
}

template <typename Output>
void launch(const GuidedUpdate& update, const at::Tensor& outputs) {
  const int64_t images = update.x.size(0), width = update.x.size(2), n = outputs.size(1);
  const bool summed = update.change.defined();
  // By the work of one image alone: how many there are must not change a sum's bits.
  const int64_t elements = n * width, each = kThreads * (summed ? kElementsEach : 1),
                blocks = std::clamp<int64_t>((elements + each - 1) / each, 1,
                                             summed ? kMostSummed : kMostBlocks);
  at::Tensor parts;
  if (summed) parts = at::empty({images, blocks}, update.change.options());
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(images));
  update_kernel<Output><<<grid, kThreads, 0, stream()>>>(
      static_cast<const Output*>(outputs.const_data_ptr()), update.z.const_data_ptr<float>(),
      update.x.mutable_data_ptr<float>(), summed ? out_of<double>(parts) : nullptr, images,
      update.x.size(1), width, n, on_device({update.first, update.counter}),
      static_cast<float>(update.cfg), static_cast<float>(update.clamp),
      outputs.size(0) == 2 * images, flag_of(update.stopped));
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
  const at::Tensor outputs = update.outputs.contiguous();
  by_type(outputs, [&](auto type) { launch<decltype(type)>(update, outputs); });
}

}  // namespace tarflow::kernels
