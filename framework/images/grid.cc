#include "framework/images/grid.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"
#include "framework/images/decode.h"
#include "framework/images/text.h"

namespace tarflow::images {
namespace {

// Copies the image to (x, y), enlarged.
void paste(Image& canvas, int x, int y, const Image& image, int zoom) {
  for (int row = 0; row < image.height * zoom; ++row) {
    const uint8_t* in = image.row(row / zoom);
    uint8_t* out = canvas.row(y + row) + 3 * x;
    for (int column = 0; column < image.width * zoom; ++column, out += 3) {
      std::copy_n(in + 3 * (column / zoom), 3, out);
    }
  }
}

// Largest width and height of the images, enlarged.
struct Cell {
  int64_t width = 0;
  int64_t height = 0;
};

Cell cell_of(std::span<const Image> images, int zoom) {
  Cell cell;
  for (const Image& image : images) {
    if (image.width <= 0 || image.height <= 0)
      throw Error("an image without pixels cannot be put into a grid");
    cell.width = std::max(cell.width, int64_t{image.width} * zoom);
    cell.height = std::max(cell.height, int64_t{image.height} * zoom);
  }
  return cell;
}

void check_options(int columns, int padding, int zoom, int text_scale) {
  if (columns < 1 || padding < 0 || zoom < 1 || text_scale < 1) {
    throw Error(
        fmt::format("a grid of {} columns, padding {}, zoom {}, text scale {} is impossible",
                    columns, padding, zoom, text_scale));
  }
}

Image canvas_of(int64_t width, int64_t height, Color background) {
  if (width > kMaxPixels || height > kMaxPixels || width * height > kMaxPixels) {
    throw Error(fmt::format("a grid of {} x {} pixels is too large", width, height),
                "show fewer images");
  }
  return blank(static_cast<int>(width), static_cast<int>(height), background);
}

}  // namespace

Image grid(std::span<const Image> images, const GridOptions& options) {
  check_options(options.columns, options.padding, options.zoom, 1);
  if (images.empty()) throw Error("a grid needs at least one image");
  const Cell cell = cell_of(images, options.zoom);
  const int64_t columns = std::min<int64_t>(options.columns, static_cast<int64_t>(images.size()));
  const int64_t rows = (static_cast<int64_t>(images.size()) + columns - 1) / columns;
  const int64_t padding = options.padding;
  Image canvas = canvas_of(columns * (cell.width + padding) + padding,
                           rows * (cell.height + padding) + padding, options.background);
  for (int64_t i = 0; i < static_cast<int64_t>(images.size()); ++i) {
    paste(canvas, static_cast<int>(padding + i % columns * (cell.width + padding)),
          static_cast<int>(padding + i / columns * (cell.height + padding)), images[i],
          options.zoom);
  }
  return canvas;
}

namespace {

// Sizes of a strip, in pixels.
struct StripLayout {
  int line = 0;        // a line of text with the space below it
  int64_t column = 0;  // from one image to the next
  int64_t width = 0;
  int64_t height = 0;
};

StripLayout lay_out(std::span<const StripRow> rows, const std::vector<std::string>& headings,
                    const StripOptions& options) {
  StripLayout layout;
  layout.line = (kGlyphHeight + 1) * options.text_scale + options.padding;
  layout.height = options.padding + (headings.empty() ? 0 : layout.line);
  size_t columns = headings.size();
  int64_t widest_label = 0;
  for (const StripRow& row : rows) {
    const Cell cell = cell_of(row.images, options.zoom);
    columns = std::max(columns, row.images.size());
    layout.column = std::max(layout.column, cell.width);
    widest_label = std::max<int64_t>(widest_label, text_width(row.label, options.text_scale));
    layout.height += (row.label.empty() ? 0 : layout.line) + cell.height + options.padding;
  }
  if (layout.column == 0) throw Error("a strip needs at least one image");
  for (const std::string& heading : headings) {
    layout.column = std::max<int64_t>(layout.column, text_width(heading, options.text_scale));
  }
  layout.column += options.padding;
  layout.width =
      std::max(static_cast<int64_t>(columns) * layout.column, widest_label + options.padding) +
      options.padding;
  return layout;
}

}  // namespace

Image strips(std::span<const StripRow> rows, const std::vector<std::string>& headings,
             const StripOptions& options) {
  check_options(1, options.padding, options.zoom, options.text_scale);
  const StripLayout layout = lay_out(rows, headings, options);
  Image canvas = canvas_of(layout.width, layout.height, options.background);
  const auto left = [&](size_t column) {
    return static_cast<int>(options.padding + column * layout.column);
  };
  int y = options.padding;
  for (size_t i = 0; i < headings.size(); ++i) {
    draw_text(canvas, left(i), y, headings[i], options.ink, options.text_scale);
  }
  if (!headings.empty()) y += layout.line;
  for (const StripRow& row : rows) {
    if (!row.label.empty()) {
      draw_text(canvas, left(0), y, row.label, options.ink, options.text_scale);
      y += layout.line;
    }
    for (size_t i = 0; i < row.images.size(); ++i) {
      paste(canvas, left(i), y, row.images[i], options.zoom);
    }
    y += static_cast<int>(cell_of(row.images, options.zoom).height) + options.padding;
  }
  return canvas;
}

}  // namespace tarflow::images
