// Resizing and cropping as PIL and torchvision do it, bit for bit.
#pragma once

#include <cstdint>

#include "framework/images/image.h"

namespace tarflow::images {

struct Size {
  int64_t width = 0;
  int64_t height = 0;
  bool operator==(const Size&) const = default;
};

// PIL's Image.resize((width, height), BILINEAR) of an RGB image: a triangle filter as wide as the
// reduction (antialiased), first along rows, then along columns, each result rounded to 8 bits.
// Equal in every bit to Pillow up to 12.1. Later ones go along columns first where that is faster
// (12.2: heights of more than 100 widths; 13.0: where the height shrinks by more than twice what
// the width does, so portraits beyond 2:1), which moves pixels by one grey level.
// Throws Error when the result would be empty or exceed kMaxPixels (decode.h).
Image resize(const Image& image, int width, int height);

// torchvision's Resize(size): the shorter side becomes `size`, the longer its share, rounded down.
Size resized_size(int64_t width, int64_t height, int size);

// torchvision's CenterCrop(size), offset (n - size)/2 rounded half to even. Throws Error when a
// side is smaller than `size`. After resized_size() none is: the longer side is at least the
// shorter before, so its share of `size` is at least `size`.
Image center_crop(const Image& image, int size);

// Resize(size) and CenterCrop(size) (method.md section 3): size x size. Only the pixels inside the
// crop are computed, so any aspect ratio takes no more memory than the image and the result.
Image preprocess(const Image& image, int size);

}  // namespace tarflow::images
