#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cstdint>

#include "framework/tensor/philox.h"

namespace tarflow {
namespace {

// One thread per block of four elements, in a grid-stride loop over count * blocks.
__global__ void fill_normal(float* out, uint64_t seed, int64_t first, int64_t count,
                            int64_t elements) {
  const int64_t blocks = (elements + 3) / 4;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t index = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; index < count * blocks;
       index += stride) {
    const int64_t image = index / blocks, block = index % blocks;
    float four[4];
    normal4(seed, static_cast<uint64_t>(first + image), static_cast<uint32_t>(block), four);
    for (int k = 0; k < 4 && 4 * block + k < elements; ++k)
      out[image * elements + 4 * block + k] = four[k];
  }
}

}  // namespace

void fill_normal_cuda(float* out, uint64_t seed, int64_t first, int64_t count, int64_t elements) {
  const int64_t work = count * ((elements + 3) / 4);
  if (work == 0) return;
  const unsigned grid = static_cast<unsigned>(std::min<int64_t>((work + 255) / 256, 8192));
  fill_normal<<<grid, 256, 0, c10::cuda::getCurrentCUDAStream()>>>(out, seed, first, count,
                                                                   elements);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace tarflow
