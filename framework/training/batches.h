// Which images make a batch, and what is done to each of them: a function of the seed and of the
// sample's number alone. Samples are counted over the whole training: step k of batches of B has
// the samples k B to (k+1) B - 1. So neither the number of ranks nor an interruption changes them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "framework/model/forward.h"
#include "framework/tensor/noise.h"

namespace tarflow::training {

// The order of the images in an epoch: a permutation of 0..images-1 that follows from seed and
// epoch, another one in every epoch.
std::vector<uint32_t> epoch_order(uint64_t seed, int64_t epoch, int64_t images);

// Which image each sample shows. An epoch has floor(images / batch) batches; the images left over
// have no part in it.
class Order {
 public:
  // Throws Error when a batch has more images than there are.
  Order(uint64_t seed, int64_t images, int64_t batch);

  int64_t steps_per_epoch() const { return images_ / batch_; }
  // Of the samples first..first+count-1, all of one step.
  std::vector<uint32_t> images_of(int64_t first, int64_t count);

 private:
  const uint64_t seed_;
  const int64_t images_, batch_;
  int64_t epoch_ = -1;  // whose order is kept
  std::vector<uint32_t> order_;
};

// What is drawn for a sample besides its noise.
struct Draws {
  std::vector<uint8_t> flipped;  // 1: mirrored left to right, with probability 1/2
  std::vector<uint8_t> dropped;  // 1: its label is -1, with probability drop_label
};
Draws draws_of(uint64_t seed, int64_t first, int64_t count, double drop_label);

// Labels of which the dropped ones are -1.
Labels dropped_labels(Labels labels, const std::vector<uint8_t>& dropped);

// images: (n, colours, H, W) in [-1, 1]; those of which `flipped` says so mirrored left to right.
at::Tensor flipped_images(const at::Tensor& images, const std::vector<uint8_t>& flipped);

// images: (n, colours, H, W), v/255*2-1 of 8-bit values v. Normal noise: images + noise_std noise.
// Uniform noise: 2 (v + noise) / 256 - 1.
at::Tensor noisy_images(const at::Tensor& images, const at::Tensor& noise, ImageNoise kind,
                        double noise_std);

}  // namespace tarflow::training
