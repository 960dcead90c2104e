#include "framework/images/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/core/error.h"

namespace tarflow::images {
namespace {

void check_size(size_t values, int width, int height) {
  if (width <= 0 || height <= 0 || values != size_t{3} * width * height) {
    throw Error(fmt::format("{} values are not an image of 3 x {} x {}", values, height, width));
  }
}

// CHW floats to HWC bytes; `unit` maps a value to [0,1].
template <typename Unit>
Image quantise(std::span<const float> chw, int width, int height, Unit unit) {
  const size_t pixels = size_t(width) * height;
  Image image{width, height, std::vector<uint8_t>(3 * pixels)};
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      const float value = unit(chw[c * pixels + i]);
      // Written so that NaN, whose comparisons are false, becomes 0.
      image.rgb[3 * i + c] = value > 0 ? static_cast<uint8_t>(std::min(value, 1.0f) * 255.0f) : 0;
    }
  }
  return image;
}

}  // namespace

Image blank(int width, int height, Color color) {
  Image image{width, height, std::vector<uint8_t>(size_t{3} * width * height)};
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = color[i % 3];
  return image;
}

Image to_image(std::span<const float> chw, int width, int height) {
  check_size(chw.size(), width, height);
  return quantise(chw, width, height,
                  [](float v) { return (std::clamp(v, -1.0f, 1.0f) + 1.0f) * 0.5f; });
}

Image to_image_min_max(std::span<const float> chw, int width, int height) {
  check_size(chw.size(), width, height);
  float low = std::numeric_limits<float>::max();
  float high = std::numeric_limits<float>::lowest();
  for (const float v : chw) {
    if (!std::isfinite(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  if (!(low < high)) return blank(width, height, {0, 0, 0});
  // In double, where the range of two floats cannot overflow.
  const double range = double{high} - low;
  return quantise(chw, width, height,
                  [=](float v) { return static_cast<float>((double{v} - low) / range); });
}

void to_floats(const Image& image, std::span<float> chw) {
  check_size(chw.size(), image.width, image.height);
  const size_t pixels = chw.size() / 3;
  for (size_t i = 0; i < pixels; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      chw[c * pixels + i] = static_cast<float>(image.rgb[3 * i + c]) / 255.0f * 2.0f - 1.0f;
    }
  }
}

}  // namespace tarflow::images
