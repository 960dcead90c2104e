// Noise and labels of images by index: image i is the same for any batch, order, rank count or
// device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "framework/tensor/philox.h"

namespace tarflow {

// Standard normal noise of images first..first+count-1, (count, tokens, width) float32 on `device`.
// Element e of image i is number e of the Philox stream with key `seed` and counter (e / 4, noise,
// i).
at::Tensor normal_noise(uint64_t seed, int64_t first, int64_t count, int64_t tokens, int64_t width,
                        const at::Device& device);

// Labels of images first..first+count-1, uniform on 0..classes-1, from a stream of their own;
// (count) int64. Throws Error when classes <= 0.
std::vector<int64_t> uniform_labels(uint64_t seed, int64_t first, int64_t count, int classes);

// Noise that is added to real images, from a stream of its own: independent of the noise that
// samples start from. Image i of draw d is the same for any batch, order or device.
enum class ImageNoise {
  kNormal,   // standard normal
  kUniform,  // on [0, 1), a multiple of 2^-24
};
inline constexpr int64_t kMaxDraws = int64_t{1} << 16;  // independent draws an image

// (n, elements) float32 on the CPU, for the n images with these numbers (below 2^48).
at::Tensor image_noise(ImageNoise kind, uint64_t seed, std::span<const int64_t> images,
                       int64_t draw, int64_t elements);

// Noise of the samples first..first+count-1 of a training, counted over all its steps, from a
// stream of its own: (count, elements) float32 on `device`.
at::Tensor training_noise(ImageNoise kind, uint64_t seed, int64_t first, int64_t count,
                          int64_t elements, const at::Device& device);

// Numbers of an element's place alone: `out` holds count*elements floats on the device.
struct NoiseFill {
  float* out = nullptr;
  ImageNoise kind = ImageNoise::kNormal;
  uint64_t seed = 0;
  Stream stream = Stream::kNoise;
  int64_t first = 0, count = 0, elements = 0;  // of images, and of one image
};
void fill_noise_cpu(const NoiseFill& fill);
void fill_noise_cuda(const NoiseFill& fill);

}  // namespace tarflow
