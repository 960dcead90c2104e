// How far a strategy's images are from For's on the same noise.
#pragma once

#include <cstddef>

#include "framework/record/record.h"

namespace tarflow::analysis {

struct Deviation {
  double median = 0;  // of the images' rms difference over the reference's rms
  double p99 = 0;     // 99th percentile, interpolated linearly between images
  size_t images = 0;  // compared
  size_t nonfinite =
      0;  // of these, images with values that are not finite: they count as infinitely far
};

// Both arrays (n,3,H,W), image i of both from the same noise; where one holds more images, the
// first ones are compared. Per image: sqrt(mean over 3HW of (x - x_ref)^2); the divisor is the rms
// of all compared reference images together, so that an image of one grey does not weigh more.
// Reference images that are not finite are passed over. Throws Error when the shapes do not fit or
// nothing is left to compare.
Deviation deviation(const record::Array& images, const record::Array& reference);

}  // namespace tarflow::analysis
