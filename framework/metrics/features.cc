#include "framework/metrics/features.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"

namespace tarflow::metrics {

at::Tensor stack(std::span<const images::Image> images) {
  if (images.empty()) throw Error("there are no images to stack");
  const int64_t n = static_cast<int64_t>(images.size()), height = images[0].height,
                width = images[0].width;
  at::Tensor pixels = at::empty({n, height, width, 3}, at::kByte);
  for (int64_t i = 0; i < n; ++i) {
    const images::Image& image = images[i];
    if (image.height != height || image.width != width) {
      throw Error(fmt::format("images of {} x {} and {} x {} pixels cannot be one batch", width,
                              height, image.width, image.height));
    }
    std::copy(image.rgb.begin(), image.rgb.end(), pixels[i].mutable_data_ptr<uint8_t>());
  }
  return pixels.permute({0, 3, 1, 2}).contiguous();
}

BatchFeatures features_of(const Extractor& extractor, const images::Batch& batch, bool flips) {
  if (batch.images.empty()) return {};
  const at::Tensor images = stack(batch.images);
  BatchFeatures result{extractor.any_features(images), {}};
  if (flips) result.mirrored = extractor.any_features(images.flip(3));
  return result;
}

void FeatureSums::add(const BatchFeatures& batch) {
  if (!batch.features.defined()) return;
  add_samples(batch.features);
  if (keep_ > 0) kept_.push_back(batch.features.slice(0, 0, keep_).to(at::kCPU, at::kFloat));
  keep_ -= batch.features.size(0);
  images_ += batch.features.size(0);
  if (batch.mirrored.defined()) add_samples(batch.mirrored);
}

void FeatureSums::add_samples(const at::Tensor& features) {
  const at::Tensor f = features.detach().to(device_, at::kDouble);
  const at::Tensor sum = f.sum(0), outer = f.t().matmul(f);
  count_ += f.size(0);
  if (sum_.defined()) {
    sum_.add_(sum);
    outer_.add_(outer);
  } else {
    sum_ = sum;
    outer_ = outer;
  }
}

Moments FeatureSums::moments() const {
  return count_ == 0 ? Moments{} : Moments{count_, sum_.cpu(), outer_.cpu()};
}

at::Tensor FeatureSums::features() const { return kept_.empty() ? at::Tensor() : at::cat(kept_); }

}  // namespace tarflow::metrics
