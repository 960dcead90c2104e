// An 8-bit RGB image as a plain value, and its conversion from and to the model's floats.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace tarflow::images {

using Color = std::array<uint8_t, 3>;  // red, green, blue

struct Image {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;  // height x width x 3, rows from the top

  uint8_t* row(int y) { return rgb.data() + size_t{3} * width * y; }
  const uint8_t* row(int y) const { return rgb.data() + size_t{3} * width * y; }
  bool operator==(const Image&) const = default;
};

// An image of one colour.
Image blank(int width, int height, Color color);

// A sample as an image: (3, height, width) floats, or (1, height, width) of a grey one, clipped to
// [-1,1], mapped to [0,1], times 255 in float32 and truncated (method.md section 4). NaN becomes 0.
// Throws Error when `chw` has another size.
Image to_image(std::span<const float> chw, int width, int height);

// The same with [-1,1] replaced by the smallest and largest finite value in `chw` (method.md
// section 3, "Sampling trace"); black when all values are equal.
Image to_image_min_max(std::span<const float> chw, int width, int height);

// The model's input: v/255*2-1 as (3, height, width) into `chw`, or as (1, height, width) of the
// luma (ITU-R 601, as PIL computes it). Throws Error when `chw` has
// another size.
void to_floats(const Image& image, std::span<float> chw);

}  // namespace tarflow::images
