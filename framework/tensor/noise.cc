#include "framework/tensor/noise.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"
#include "framework/tensor/philox.h"
#ifdef TARFLOW_USE_CUDA
#include <c10/cuda/CUDAGuard.h>
#endif

namespace tarflow {

namespace {

// Fills `out` (count, elements). draw(row, block, four) gives elements 4 * block .. 4 * block + 3
// of a row.
template <typename Draw>
void fill_by_fours(float* out, int64_t count, int64_t elements, const Draw& draw) {
  const int64_t blocks = (elements + 3) / 4;
  at::parallel_for(0, count * blocks, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t row = index / blocks, block = index % blocks;
      float four[4];
      draw(row, static_cast<uint32_t>(block), four);
      std::copy_n(four, std::min<int64_t>(4, elements - 4 * block),
                  out + row * elements + 4 * block);
    }
  });
}

}  // namespace

void fill_normal_cpu(float* out, uint64_t seed, int64_t first, int64_t count, int64_t elements) {
  fill_by_fours(out, count, elements, [&](int64_t image, uint32_t block, float* four) {
    normal4(seed, static_cast<uint64_t>(first + image), block, four);
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

namespace {

// The upper 24 bits, which a float holds exactly.
float unit_interval(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

void image_noise4(ImageNoise kind, uint64_t seed, uint64_t image, uint32_t block, float out[4]) {
  if (kind == ImageNoise::kNormal) {
    normal4(seed, image, block, out, Stream::kImageNoise);
    return;
  }
  const Random4 random = philox4x32(seed, image, block, Stream::kImageNoise);
  for (int e = 0; e < 4; ++e) out[e] = unit_interval(random.word[e]);
}

}  // namespace

at::Tensor image_noise(ImageNoise kind, uint64_t seed, std::span<const int64_t> images,
                       int64_t draw, int64_t elements) {
  if (draw < 0 || draw >= kMaxDraws) {
    throw Error(fmt::format("draw {} of the noise of an image", draw),
                fmt::format("there are {} of them", kMaxDraws));
  }
  const int64_t count = static_cast<int64_t>(images.size());
  at::Tensor noise = at::empty({count, elements}, at::TensorOptions().dtype(at::kFloat));
  fill_by_fours(noise.mutable_data_ptr<float>(), count, elements,
                [&](int64_t row, uint32_t block, float* four) {
                  const uint64_t image = static_cast<uint64_t>(images[static_cast<size_t>(row)]) |
                                         static_cast<uint64_t>(draw) << 48;
                  image_noise4(kind, seed, image, block, four);
                });
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
