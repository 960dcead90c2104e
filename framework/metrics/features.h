// Features of image folders, streamed in batches.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "framework/images/batches.h"
#include "framework/metrics/extractor.h"
#include "framework/metrics/frechet.h"

namespace tarflow::metrics {

// What an extractor makes of one batch of images, floating point on its device. A row may hold
// values that are not finite (Extractor::any_features).
struct BatchFeatures {
  at::Tensor features;  // (N, F); undefined where the batch is empty
  at::Tensor mirrored;  // the same of the images mirrored left to right; undefined unless asked for
};

// Images as one batch: (N, 3, height, width) uint8 on the CPU. Throws Error for none or for
// different sizes.
at::Tensor stack(std::span<const images::Image> images);

BatchFeatures features_of(const Extractor& extractor, const images::Batch& batch, bool flips);

// Sums over the features of batches, which are to be added in the order of their index, so that
// they are the same whoever made the features. They stay on `device` until the end.
class FeatureSums {
 public:
  // `keep`: features to keep, of the first images, unmirrored.
  FeatureSums(const at::Device& device, int64_t keep) : device_(device), keep_(keep) {}

  void add(const BatchFeatures& batch);

  int64_t images() const { return images_; }
  Moments moments() const;      // 2 samples an image with mirrored ones
  at::Tensor features() const;  // (n, F) float32 on the CPU, n <= keep; undefined when none is kept

 private:
  void add_samples(const at::Tensor& features);

  const at::Device device_;
  int64_t keep_ = 0, images_ = 0, count_ = 0;
  at::Tensor sum_, outer_;
  std::vector<at::Tensor> kept_;
};

}  // namespace tarflow::metrics
