// Writing images as PNG.
#pragma once

#include <filesystem>
#include <string>

#include "framework/images/image.h"

namespace tarflow::images {

// The bytes of an 8-bit RGB PNG without times or texts: equal images give equal bytes (for one
// version of libpng and zlib). Throws Error for an image without pixels.
std::string encode_png(const Image& image);
// The same image in larger files and a fraction of the time, for sets of very many images.
std::string encode_png_fast(const Image& image);

// Writes beside and renames, making folders on the way. Throws Error naming the file.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace tarflow::images
