#include "framework/metrics/features.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

FolderMoments moments_of_files(std::span<const images::ImageFile> files,
                               const images::LoadOptions& load, const Extractor& extractor,
                               int64_t batch,
                               const std::function<void(int64_t done)>& after_batch) {
  if (batch < 1) throw Error(fmt::format("a batch cannot hold {} images", batch));
  FolderMoments result;
  std::vector<images::Image> waiting;
  const auto flush = [&] {
    if (waiting.empty()) return;
    result.moments.add(extractor.features(stack(waiting)));
    waiting.clear();
    if (after_batch) after_batch(result.moments.count);
  };
  result.unreadable = images::load_images(files, load, [&](int64_t, images::Image image) {
    waiting.push_back(std::move(image));
    if (static_cast<int64_t>(waiting.size()) == batch) flush();
  });
  flush();
  return result;
}

}  // namespace tarflow::metrics
