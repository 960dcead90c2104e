#include <zlib.h>

#include <algorithm>
#include <cstdint>

#include "framework/core/error.h"
#include "framework/images/decode.h"
#include "framework/images/png.h"
#include "framework/images/resize.h"
#include "tests/fuzz/targets.h"

namespace tarflow::fuzz {
namespace {

constexpr uint64_t kMaxPixels = 1 << 18;  // larger ones only cost time
constexpr std::string_view kPng("\x89PNG\r\n\x1a\n", 8);

uint32_t big_endian(std::string_view bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    value = value << 8 | static_cast<uint8_t>(at + i < bytes.size() ? bytes[at + i] : 0);
  }
  return value;
}

uint64_t product(std::string_view bytes, size_t at, size_t width) {
  return uint64_t{big_endian(bytes, at, width)} * big_endian(bytes, at + width, width);
}

// An upper bound of what a header claims: IHDR of a PNG, every possible frame header of a JPEG.
uint64_t claimed_pixels(std::string_view bytes) {
  if (bytes.starts_with(kPng)) return product(bytes, 16, 4);
  uint64_t most = 0;
  for (size_t at = 0; at + 9 < bytes.size(); ++at) {
    const auto marker = static_cast<uint8_t>(bytes[at + 1]);
    if (static_cast<uint8_t>(bytes[at]) != 0xff || marker < 0xc0 || marker > 0xcf) continue;
    most = std::max(most, product(bytes, at + 5, 2));
  }
  return most;
}

// The PNG with the checksum of every chunk made right; otherwise few changes get past the first.
std::string with_checksums(std::string bytes) {
  size_t at = kPng.size();
  while (at + 12 <= bytes.size()) {
    const size_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - 12) break;
    const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(bytes.data() + at + 4),
                            static_cast<uInt>(length + 4));
    for (size_t i = 0; i < 4; ++i) {
      bytes[at + 8 + length + i] = static_cast<char>(crc >> (24 - 8 * i));
    }
    at += length + 12;
  }
  return bytes;
}

void read(std::string_view bytes) {
  try {
    const images::Image image = images::decode(bytes, "fuzz");
    must(image.width > 0 && image.height > 0, "a decoded image is empty");
    must(image.rgb.size() == size_t{3} * image.width * image.height, "an image's size is wrong");
    const images::Image small = images::preprocess(image, 16);
    must(small.width == 16 && small.height == 16, "a preprocessed image has another size");
    must(images::decode(images::encode_png(small), "again") == small, "a PNG does not read back");
  } catch (const Error& error) {
    must(!error.problems().empty() && *error.what() != '\0', "an error says nothing");
  }
}

}  // namespace

void images(std::string_view bytes) {
  if (claimed_pixels(bytes) > kMaxPixels) return;
  read(bytes);
  if (bytes.starts_with(kPng)) read(with_checksums(std::string(bytes)));
}

}  // namespace tarflow::fuzz
