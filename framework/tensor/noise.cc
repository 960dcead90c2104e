#include "framework/tensor/noise.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "framework/core/error.h"
#include "framework/tensor/philox.h"
#ifdef TARFLOW_USE_CUDA
#include <c10/cuda/CUDAGuard.h>
#endif

namespace tarflow {

void fill_normal_cpu(float* out, uint64_t seed, int64_t first, int64_t count, int64_t elements) {
  const int64_t blocks = (elements + 3) / 4;
  at::parallel_for(0, count * blocks, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t image = index / blocks, block = index % blocks;
      float four[4];
      normal4(seed, static_cast<uint64_t>(first + image), static_cast<uint32_t>(block), four);
      float* at = out + image * elements;
      for (int64_t e = 4 * block; e < std::min(4 * block + 4, elements); ++e)
        at[e] = four[e - 4 * block];
    }
  });
}

at::Tensor normal_noise(uint64_t seed, int64_t first, int64_t count, int64_t tokens, int64_t width,
                        const at::Device& device) {
  at::Tensor noise =
      at::empty({count, tokens, width}, at::TensorOptions().dtype(at::kFloat).device(device));
  if (device.is_cpu()) {
    fill_normal_cpu(noise.mutable_data_ptr<float>(), seed, first, count, tokens * width);
  } else {
#ifdef TARFLOW_USE_CUDA
    const c10::cuda::CUDAGuard guard(device);
    fill_normal_cuda(noise.mutable_data_ptr<float>(), seed, first, count, tokens * width);
#endif
  }
  return noise;
}

std::vector<int64_t> uniform_labels(uint64_t seed, int64_t first, int64_t count, int classes) {
  if (classes <= 0) throw Error("an unconditional model has no labels");
  std::vector<int64_t> labels(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const Random4 random = philox4x32(seed, static_cast<uint64_t>(first + i), 0, Stream::kLabels);
    // 64 random bits make the bias of the multiplication smaller than classes / 2^64.
    const uint64_t bits = (uint64_t{random.word[0]} << 32) | random.word[1];
    labels[static_cast<size_t>(i)] = static_cast<int64_t>(
        (static_cast<unsigned __int128>(bits) * static_cast<unsigned>(classes)) >> 64);
  }
  return labels;
}

}  // namespace tarflow
