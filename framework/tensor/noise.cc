#include "framework/tensor/noise.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"
#ifdef TARFLOW_USE_CUDA
#include <c10/cuda/CUDAGuard.h>
#endif

namespace tarflow {

namespace {

// Elements 4*block .. 4*block+3 of an image.
void noise4(ImageNoise kind, uint64_t seed, uint64_t image, uint32_t block, float out[4],
            Stream stream) {
  if (kind == ImageNoise::kNormal) {
    normal4(seed, image, block, out, stream);
  } else {
    uniform4(seed, image, block, out, stream);
  }
}

at::Tensor filled(NoiseFill fill, at::IntArrayRef shape, const at::Device& device) {
  at::Tensor noise = at::empty(shape, at::TensorOptions().dtype(at::kFloat).device(device));
  fill.out = noise.mutable_data_ptr<float>();
  if (device.is_cpu()) {
    fill_noise_cpu(fill);
  } else {
#ifdef TARFLOW_USE_CUDA
    const c10::cuda::CUDAGuard guard(device);
    fill_noise_cuda(fill);
#endif
  }
  return noise;
}

}  // namespace

void fill_noise_cpu(const NoiseFill& fill) {
  const int64_t blocks = (fill.elements + 3) / 4;
  at::parallel_for(0, fill.count * blocks, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t image = index / blocks, block = index % blocks;
      float four[4];
      noise4(fill.kind, fill.seed, static_cast<uint64_t>(fill.first + image),
             static_cast<uint32_t>(block), four, fill.stream);
      float* row = fill.out + image * fill.elements;
      for (int64_t e = 4 * block; e < std::min(4 * block + 4, fill.elements); ++e)
        row[e] = four[e - 4 * block];
    }
  });
}

at::Tensor normal_noise(uint64_t seed, int64_t first, int64_t count, int64_t tokens, int64_t width,
                        const at::Device& device) {
  return filled({nullptr, ImageNoise::kNormal, seed, Stream::kNoise, first, count, tokens * width},
                {count, tokens, width}, device);
}

at::Tensor training_noise(ImageNoise kind, uint64_t seed, int64_t first, int64_t count,
                          int64_t elements, const at::Device& device) {
  return filled({nullptr, kind, seed, Stream::kTrainingNoise, first, count, elements},
                {count, elements}, device);
}

at::Tensor image_noise(ImageNoise kind, uint64_t seed, std::span<const int64_t> images,
                       int64_t draw, int64_t elements) {
  if (draw < 0 || draw >= kMaxDraws) {
    throw Error(fmt::format("draw {} of the noise of an image", draw),
                fmt::format("there are {} of them", kMaxDraws));
  }
  const int64_t count = static_cast<int64_t>(images.size()), blocks = (elements + 3) / 4;
  at::Tensor noise = at::empty({count, elements}, at::TensorOptions().dtype(at::kFloat));
  float* const out = noise.mutable_data_ptr<float>();
  at::parallel_for(0, count * blocks, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t row = index / blocks, block = index % blocks;
      const uint64_t image = static_cast<uint64_t>(images[static_cast<size_t>(row)]) |
                             static_cast<uint64_t>(draw) << 48;
      float four[4];
      noise4(kind, seed, image, static_cast<uint32_t>(block), four, Stream::kImageNoise);
      for (int64_t e = 4 * block; e < std::min(4 * block + 4, elements); ++e)
        out[row * elements + e] = four[e - 4 * block];
    }
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
