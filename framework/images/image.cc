#include "framework/images/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/core/error.h"

namespace tarflow::images {
namespace {

// Of `values` numbers: 3, or 1 of a grey image.
size_t colours_of(size_t values, int width, int height) {
  for (const size_t colours : {size_t{3}, size_t{1}}) {
    if (width > 0 && height > 0 && values == colours * width * height) return colours;
  }
  throw Error(fmt::format("{} values are not an image of 3 x {} x {}", values, height, width));
}

// The luma of ITU-R 601 as PIL computes it; v of a colour (v, v, v).
uint8_t grey_of(const uint8_t* rgb) {
  return static_cast<uint8_t>((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 0x8000) >> 16);
}

float to_float(uint8_t value) { return static_cast<float>(value) / 255.0f * 2.0f - 1.0f; }

// CHW floats to HWC bytes; `unit` maps a value to [0,1].
template <typename Unit>
Image quantise(std::span<const float> chw, int width, int height, Unit unit) {
  const size_t pixels = size_t(width) * height, colours = chw.size() / pixels;
  Image image{width, height, std::vector<uint8_t>(3 * pixels)};
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      const float value = unit(chw[c % colours * pixels + i]);
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
  colours_of(chw.size(), width, height);
  return quantise(chw, width, height,
                  [](float v) { return (std::clamp(v, -1.0f, 1.0f) + 1.0f) * 0.5f; });
}

Image to_image_min_max(std::span<const float> chw, int width, int height) {
  colours_of(chw.size(), width, height);
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
  const size_t colours = colours_of(chw.size(), image.width, image.height);
  const size_t pixels = chw.size() / colours;
  for (size_t i = 0; i < pixels; ++i) {
    const uint8_t* const rgb = image.rgb.data() + 3 * i;
    if (colours == 1) {
      chw[i] = to_float(grey_of(rgb));
    } else {
      for (size_t c = 0; c < 3; ++c) chw[c * pixels + i] = to_float(rgb[c]);
    }
  }
}

}  // namespace tarflow::images
