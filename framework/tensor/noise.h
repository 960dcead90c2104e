// Noise and labels of images by index. Image i has the same noise and label in any batch, order,
// number of ranks and device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tarflow {

// Standard normal noise of images first..first+count-1, (count, tokens, width) float32 on `device`.
// Element e of image i is number e of the Philox stream with key `seed` and counter (e / 4, noise,
// i).
at::Tensor normal_noise(uint64_t seed, int64_t first, int64_t count, int64_t tokens, int64_t width,
                        const at::Device& device);

// Labels of images first..first+count-1, uniform on 0..classes-1, from a stream of their own;
// (count) int64. Throws Error when classes <= 0.
std::vector<int64_t> uniform_labels(uint64_t seed, int64_t first, int64_t count, int classes);

// Noise that is added to real images. Its stream is independent of the noise that samples start
// from. Image i of draw d has the same noise in any batch, order and device.
enum class ImageNoise {
  kNormal,   // standard normal
  kUniform,  // on [0, 1), a multiple of 2^-24
};
inline constexpr int64_t kMaxDraws = int64_t{1} << 16;  // independent draws per image

// (n, elements) float32 on the CPU, for the n images with these numbers (below 2^48).
at::Tensor image_noise(ImageNoise kind, uint64_t seed, std::span<const int64_t> images,
                       int64_t draw, int64_t elements);

// normal_noise on a CPU and on a GPU. `out` has count * elements floats on that device.
void fill_normal_cpu(float* out, uint64_t seed, int64_t first, int64_t count, int64_t elements);
void fill_normal_cuda(float* out, uint64_t seed, int64_t first, int64_t count, int64_t elements);

}  // namespace tarflow
