#include "framework/images/decode.h"

#include <fmt/format.h>

#include <cstdio>  // jpeglib.h needs FILE
// After <cstdio>:
#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/file_kind.h"

namespace tarflow::images {
namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& what) {
  throw Error(fmt::format("{}: {}", name, what), "remove or replace the file");
}

void check_pixels(const std::string& name, int64_t width, int64_t height) {
  if (width * height > kMaxPixels) {
    refuse(name, fmt::format("the image claims {} x {} pixels, more than the {} that are accepted",
                             width, height, kMaxPixels));
  }
}

// Runs `step`, calls into a C library whose error handler fills `message` and jumps to `jump`, and
// throws what it reported. Neither `step` nor what it calls may hold an object with a destructor: a
// jump skips it.
template <typename Step>
void run_guarded(std::jmp_buf& jump, const char* message, const std::string& name, Step step) {
  if (setjmp(jump)) refuse(name, message);
  step();
}

// ---- JPEG ----

// No encoder writes as many; a small file with more is made to cost hours.
constexpr int kMaxScans = 1000;

struct Jpeg {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
  bool truncated = false;

  ~Jpeg() { jpeg_destroy_decompress(&info); }  // safe before creation: info.mem is null
};

void jpeg_fail(j_common_ptr info) {
  Jpeg& jpeg = *static_cast<Jpeg*>(info->client_data);
  info->err->format_message(info, jpeg.message);
  std::longjmp(jpeg.jump, 1);
}

void jpeg_fail_with(j_common_ptr info, const char* message) {
  Jpeg& jpeg = *static_cast<Jpeg*>(info->client_data);
  std::snprintf(jpeg.message, sizeof jpeg.message, "%s", message);
  std::longjmp(jpeg.jump, 1);
}

void jpeg_keep_quiet(j_common_ptr) {}

// libjpeg would make up the end of a truncated file.
boolean jpeg_end_of_data(j_decompress_ptr info) {
  static_cast<Jpeg*>(info->client_data)->truncated = true;
  jpeg_fail_with(reinterpret_cast<j_common_ptr>(info), "the JPEG data are truncated");
  return FALSE;
}

void jpeg_watch_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans) {
    jpeg_fail_with(info, "the JPEG has too many scans");
  }
}

void jpeg_open(Jpeg& jpeg, std::string_view bytes) {
  jpeg_decompress_struct& info = jpeg.info;
  info.err = jpeg_std_error(&jpeg.errors);
  info.client_data = &jpeg;
  jpeg.errors.error_exit = jpeg_fail;
  jpeg.errors.output_message = jpeg_keep_quiet;
  jpeg_create_decompress(&info);
  jpeg.progress.progress_monitor = jpeg_watch_scans;
  info.progress = &jpeg.progress;
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  info.src->fill_input_buffer = jpeg_end_of_data;
  jpeg_read_header(&info, TRUE);
}

// One row of inverted CMYK, PIL's arithmetic: the quotients by 255 are rounded.
void inverted_cmyk_to_rgb(const uint8_t* cmyk, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x) {
    const int white = cmyk[4 * x + 3];  // 255 - K
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - cmyk[4 * x + c]) * white + 128;
      rgb[3 * x + c] = static_cast<uint8_t>(white - (((product >> 8) + product) >> 8));
    }
  }
}

Image decode_jpeg(std::string_view bytes, const std::string& name) {
  Jpeg jpeg;
  jpeg_decompress_struct& info = jpeg.info;
  run_guarded(jpeg.jump, jpeg.message, name, [&] { jpeg_open(jpeg, bytes); });
  check_pixels(name, info.image_width, info.image_height);
  const int channels = info.num_components;
  if (channels != 1 && channels != 3 && channels != 4) {
    refuse(name, fmt::format("a JPEG of {} channels cannot be read, only 1, 3 or 4", channels));
  }
  info.out_color_space = channels == 4 ? JCS_CMYK : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  info.do_fancy_upsampling = TRUE;
  run_guarded(jpeg.jump, jpeg.message, name, [&] { jpeg_start_decompress(&info); });

  Image image{static_cast<int>(info.output_width), static_cast<int>(info.output_height), {}};
  const size_t row_bytes = size_t{3} * image.width;
  std::vector<uint8_t> cmyk(channels == 4 ? size_t{4} * image.width : 0);
  // Memory is touched as rows arrive, so that a small file with a huge claim costs little.
  image.rgb.reserve(row_bytes * image.height);
  for (int y = 0; y < image.height; ++y) {
    image.rgb.resize(row_bytes * (y + 1));
    uint8_t* row = channels == 4 ? cmyk.data() : image.row(y);
    run_guarded(jpeg.jump, jpeg.message, name, [&] { jpeg_read_scanlines(&info, &row, 1); });
    if (channels == 4) inverted_cmyk_to_rgb(cmyk.data(), image.width, image.row(y));
  }
  // As PIL reads on after the last row: damage before the end marker is an error, a missing one is
  // not.
  try {
    run_guarded(jpeg.jump, jpeg.message, name, [&] { jpeg_finish_decompress(&info); });
  } catch (const Error&) {
    if (!jpeg.truncated) throw;
  }
  return image;
}

// ---- PNG ----

constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);

struct Png {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string_view unread;
  std::jmp_buf jump;
  char message[256] = "";

  ~Png() { png_destroy_read_struct(&png, &info, nullptr); }
};

void png_fail(png_structp png, png_const_charp what) {
  Png& file = *static_cast<Png*>(png_get_error_ptr(png));
  std::snprintf(file.message, sizeof file.message, "%s", what);
  std::longjmp(file.jump, 1);
}

void png_keep_quiet(png_structp, png_const_charp) {}

void png_read_bytes(png_structp png, png_bytep out, size_t count) {
  Png& file = *static_cast<Png*>(png_get_io_ptr(png));
  if (count > file.unread.size()) png_error(png, "the PNG data are truncated");
  std::memcpy(out, file.unread.data(), count);
  file.unread.remove_prefix(count);
}

uint32_t big_endian(std::string_view bytes) {
  return png_get_uint_32(reinterpret_cast<png_const_bytep>(bytes.data()));
}

// An animated PNG announces its frames in a chunk before the pixels.
void refuse_animation(std::string_view bytes, const std::string& name) {
  bytes.remove_prefix(kPngSignature.size());
  while (bytes.size() >= 12) {
    const size_t size = big_endian(bytes);
    const std::string_view type = bytes.substr(4, 4);
    if (type == "IDAT") return;
    if (type == "acTL" && bytes.size() >= 16 && big_endian(bytes.substr(8)) > 1) {
      refuse(name, fmt::format("an animated PNG of {} frames cannot be read",
                               big_endian(bytes.substr(8))));
    }
    if (size > bytes.size() - 12) return;  // truncated: libpng says so
    bytes.remove_prefix(size + 12);
  }
}

void png_open(Png& file) {
  png_structp png = file.png;
  // Ancillary chunks (text, colour profiles, ...) change nothing here and are skipped unread.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_pixels() bounds the product
  png_set_read_fn(png, &file, png_read_bytes);
  png_read_info(png, file.info);
}

// How a row of stored pixels becomes RGB.
struct PngPixels {
  int colour_type = 0;
  int bits = 0;                  // of a stored sample
  uint8_t palette[256][3] = {};  // of a palette image
};

// One row as libpng unpacked it (a byte a sample, two for 16 bits) to RGB, with PIL's choices.
void png_row_to_rgb(const PngPixels& pixels, const uint8_t* in, int width, uint8_t* rgb) {
  const int sample_bytes = pixels.bits == 16 ? 2 : 1;
  const bool colour = pixels.colour_type & PNG_COLOR_MASK_COLOR;
  const bool alpha = pixels.colour_type & PNG_COLOR_MASK_ALPHA;
  const bool palette = pixels.colour_type == PNG_COLOR_TYPE_PALETTE;
  const int stride = sample_bytes * ((colour && !palette ? 3 : 1) + (alpha ? 1 : 0));
  for (int x = 0; x < width; ++x, in += stride, rgb += 3) {
    if (palette) {
      std::copy_n(pixels.palette[in[0]], 3, rgb);
    } else if (colour) {
      for (int c = 0; c < 3; ++c) rgb[c] = in[c * sample_bytes];
    } else {
      int grey = in[0];
      if (pixels.bits == 16 && !alpha) grey = in[0] ? 255 : in[1];
      if (pixels.bits < 8) grey *= 255 / ((1 << pixels.bits) - 1);
      std::fill_n(rgb, 3, static_cast<uint8_t>(grey));
    }
  }
}

PngPixels png_pixels(const Png& file) {
  PngPixels pixels;
  pixels.colour_type = png_get_color_type(file.png, file.info);
  pixels.bits = png_get_bit_depth(file.png, file.info);
  png_colorp colours = nullptr;
  int count = 0;
  if (pixels.colour_type == PNG_COLOR_TYPE_PALETTE &&
      png_get_PLTE(file.png, file.info, &colours, &count)) {
    for (int i = 0; i < std::min(count, 256); ++i) {
      const uint8_t rgb[3] = {colours[i].red, colours[i].green, colours[i].blue};
      std::copy_n(rgb, 3, pixels.palette[i]);
    }
  }
  return pixels;
}

Image decode_png(std::string_view bytes, const std::string& name) {
  refuse_animation(bytes, name);
  Png file;
  file.unread = bytes;
  file.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &file, png_fail, png_keep_quiet);
  if (file.png) file.info = png_create_info_struct(file.png);
  if (!file.info) throw std::bad_alloc();
  run_guarded(file.jump, file.message, name, [&] { png_open(file); });
  const int64_t width = png_get_image_width(file.png, file.info);
  const int64_t height = png_get_image_height(file.png, file.info);
  check_pixels(name, width, height);

  const PngPixels pixels = png_pixels(file);
  bool interlaced = false;
  run_guarded(file.jump, file.message, name, [&] {
    png_set_packing(file.png);
    interlaced = png_set_interlace_handling(file.png) > 1;
    png_read_update_info(file.png, file.info);
  });
  // zlib packs 1032 to 1 at best, so a larger claim is known to be false before it takes memory.
  const int64_t pixel_bits = int64_t{png_get_channels(file.png, file.info)} * pixels.bits;
  if (width * height * pixel_bits / 8 > 1032 * static_cast<int64_t>(bytes.size())) {
    refuse(name, "the PNG data are truncated");
  }
  Image image{static_cast<int>(width), static_cast<int>(height),
              std::vector<uint8_t>(3 * width * height)};
  const size_t row_bytes = png_get_rowbytes(file.png, file.info);
  // Every pass of an interlaced file adds to all rows; otherwise one row at a time is enough.
  std::vector<uint8_t> stored(interlaced ? row_bytes * height : row_bytes);
  const auto stored_row = [&](int y) { return stored.data() + (interlaced ? row_bytes * y : 0); };
  const int passes = interlaced ? 7 : 1;
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < height; ++y) {
      uint8_t* row = stored_row(y);
      run_guarded(file.jump, file.message, name, [&] { png_read_row(file.png, row, nullptr); });
      if (pass == passes - 1) png_row_to_rgb(pixels, row, image.width, image.row(y));
    }
  }
  run_guarded(file.jump, file.message, name, [&] { png_read_end(file.png, nullptr); });
  return image;
}

}  // namespace

Image decode(std::string_view bytes, const std::string& name) {
  if (bytes.starts_with("\xff\xd8\xff")) return decode_jpeg(bytes, name);
  if (bytes.starts_with(kPngSignature)) return decode_png(bytes, name);
  if (bytes.empty()) refuse(name, "the file is empty");
  const ContentKind kind = kind_of(bytes, bytes.size());
  throw Error(fmt::format("{}: {}not a JPEG or PNG", name,
                          kind.name.empty() ? "" : "it is " + kind.name + ", "),
              kind.repair.empty() ? "remove the file or convert it" : kind.repair);
}

Image read_image(const std::filesystem::path& path) {
  return decode(read_file(path), path.string());
}

}  // namespace tarflow::images
