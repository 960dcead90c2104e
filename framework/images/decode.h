// JPEG and PNG files as 8-bit RGB, with the pixels that PIL's Image.open(file).convert("RGB")
// gives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "framework/images/image.h"

namespace tarflow::images {

// An image that claims more pixels is refused: the bound at which PIL raises
// DecompressionBombError.
inline constexpr int64_t kMaxPixels = 178'956'970;

// Decodes a file's bytes; the format is known by its first bytes, never by its name. As PIL does
// it:
// - JPEG: accurate integer DCT and smooth ("fancy") upsampling; grey is repeated; CMYK and YCCK are
// read as
//   inverted, as Adobe writes them, and mapped by R = (255-K) - C(255-K)/255. EXIF orientation is
//   not applied. Damage that libjpeg repairs with a warning is accepted; data that end before the
//   last row are not.
// - PNG: alpha and transparency are dropped, not blended; gamma and colour profiles are ignored;
// 16-bit colours
//   (and grey with alpha) keep the high byte, while 16-bit grey is clipped at 255 (PIL's I;16 to
//   RGB); a palette index past the palette is black. Unlike PIL a wrong checksum of the pixels or a
//   missing end is an error, and so is an animation, of which PIL takes the first frame.
// Throws Error that starts with `name` for other formats, damaged or truncated data and too many
// pixels.
Image decode(std::string_view bytes, const std::string& name);

// Reads and decodes a file. Throws Error naming it.
Image read_image(const std::filesystem::path& path);

}  // namespace tarflow::images
