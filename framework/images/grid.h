// Sample grids, and rows of images with labels.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "framework/images/image.h"

namespace tarflow::images {

struct GridOptions {
  int columns = 8;
  int padding = 2;  // pixels around every image
  int zoom = 1;     // every pixel of an image becomes zoom x zoom
  Color background{255, 255, 255};
};

// The images from left to right and from top to bottom, each in the upper left corner of a cell as
// large as the largest. Throws Error for no images, images without pixels, or options below 1
// (padding: 0).
Image grid(std::span<const Image> images, const GridOptions& options = {});

struct StripRow {
  std::string label;  // above the row; "" takes no space
  std::vector<Image> images;
};

struct StripOptions {
  int padding = 2;
  int zoom = 1;
  int text_scale = 1;  // of labels and headings, 5 x 7 pixels a character at 1
  Color background{255, 255, 255};
  Color ink{0, 0, 0};
};

// Rows of images under their labels, aligned in columns as wide as the widest image or heading;
// `headings` name the columns from the left ("noise", "block 7", ...) and may be empty. Wide enough
// for the longest label. Throws Error for no images, images without pixels, or options below 1
// (padding: 0).
Image strips(std::span<const StripRow> rows, const std::vector<std::string>& headings = {},
             const StripOptions& options = {});

}  // namespace tarflow::images
