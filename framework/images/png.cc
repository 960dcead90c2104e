#include "framework/images/png.h"

#include <fmt/format.h>
#include <png.h>

#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::images {
namespace {

std::string encode(const Image& image, png_uint_32 flags) {
  if (image.width <= 0 || image.height <= 0)
    throw Error("an image without pixels cannot be written as PNG");
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_RGB;
  png.flags = flags;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&png, bytes.data(), &size, 0, image.rgb.data(), 0, nullptr)) {
    const std::string reason = png.message;
    png_image_free(&png);
    throw Error(fmt::format("an image of {} x {} pixels cannot be written as PNG: {}", image.width,
                            image.height, reason));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

std::string encode_png(const Image& image) { return encode(image, 0); }
std::string encode_png_fast(const Image& image) { return encode(image, PNG_IMAGE_FLAG_FAST); }

void write_png(const std::filesystem::path& path, const Image& image) {
  write_file(path, encode_png(image));
}

}  // namespace tarflow::images
