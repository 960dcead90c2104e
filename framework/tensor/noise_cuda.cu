#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cstdint>

#include "framework/tensor/noise.h"
#include "framework/tensor/philox.h"

namespace tarflow {
namespace {

// One thread a block of four elements; grid-stride over count * blocks.
__global__ void fill_noise(NoiseFill fill) {
  const int64_t blocks = (fill.elements + 3) / 4;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t index = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; index < fill.count * blocks;
       index += stride) {
    const int64_t image = index / blocks, block = index % blocks;
    const uint64_t number = static_cast<uint64_t>(fill.first + image);
    float four[4];
    if (fill.kind == ImageNoise::kNormal) {
      normal4(fill.seed, number, static_cast<uint32_t>(block), four, fill.stream);
    } else {
      uniform4(fill.seed, number, static_cast<uint32_t>(block), four, fill.stream);
    }
    for (int k = 0; k < 4 && 4 * block + k < fill.elements; ++k)
      fill.out[image * fill.elements + 4 * block + k] = four[k];
  }
}

}  // namespace

void fill_noise_cuda(const NoiseFill& fill) {
  const int64_t work = fill.count * ((fill.elements + 3) / 4);
  if (work == 0) return;
  const unsigned grid = static_cast<unsigned>(std::min<int64_t>((work + 255) / 256, 8192));
  fill_noise<<<grid, 256, 0, c10::cuda::getCurrentCUDAStream()>>>(fill);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace tarflow
