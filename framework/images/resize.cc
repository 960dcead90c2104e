#include "framework/images/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "framework/core/error.h"
#include "framework/images/decode.h"

// The inner loops are compiled for several instruction sets and chosen when the program starts; all
// of them are integer arithmetic with the same results.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define TARFLOW_SIMD_CLONES __attribute__((target_clones("avx2", "sse4.1", "default")))
#endif
#endif
#ifndef TARFLOW_SIMD_CLONES
#define TARFLOW_SIMD_CLONES
#endif

namespace tarflow::images {
namespace {

// Fixed point as in PIL: 8 bits of pixel, 2 bits of headroom, the rest for the weights.
constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

// The part [begin, end) of an axis that is resized from `from` to `to` pixels.
struct Axis {
  int from = 0;
  int64_t to = 0;
  int64_t begin = 0;
  int64_t end = 0;

  int count() const { return static_cast<int>(end - begin); }
};

// What one output pixel is made of: weights[0..count) of the input pixels from `first`.
struct Taps {
  int first = 0;
  int count = 0;
  const int32_t* weights = nullptr;
};

struct Filter {
  std::vector<int32_t> weights;
  std::vector<Taps> taps;  // one an output pixel

  // The input pixels that are needed, [first, last).
  int first() const { return taps.front().first; }
  int last() const { return taps.back().first + taps.back().count; }
};

// PIL's precompute_coeffs and normalize_coeffs_8bpc with its operations in its order, since each is
// rounded.
Filter bilinear(const Axis& axis) {
  const double scale = static_cast<double>(axis.from) / static_cast<double>(axis.to);
  const double support = std::max(scale, 1.0);
  const double inverse = 1.0 / support;
  const size_t most = static_cast<size_t>(std::ceil(support)) * 2 + 1;
  Filter filter;
  filter.weights.resize(most * axis.count());
  filter.taps.resize(axis.count());
  std::vector<double> exact(most);
  for (int i = 0; i < axis.count(); ++i) {
    const double centre = (static_cast<double>(axis.begin + i) + 0.5) * scale;
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int last = std::min(static_cast<int>(centre + support + 0.5), axis.from);
    double sum = 0;
    for (int x = first; x < last; ++x) {
      const double distance = std::abs((x - centre + 0.5) * inverse);
      sum += exact[x - first] = distance < 1.0 ? 1.0 - distance : 0.0;
    }
    int32_t* weights = filter.weights.data() + most * i;
    for (int x = 0; x < last - first; ++x) {
      const double weight = sum != 0.0 ? exact[x] / sum : exact[x];
      weights[x] = static_cast<int32_t>(0.5 + weight * (1 << kPrecisionBits));
    }
    filter.taps[i] = {first, last - first, weights};
  }
  return filter;
}

// The sums are weighted means of bytes; only the rounding of the weights can carry them past 255.
inline uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::min(sum >> kPrecisionBits, 255));
}

// Red, green and blue of a pixel, and the red of the next.
using Lanes = int32_t __attribute__((vector_size(16)));

inline Lanes load(const int32_t* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

constexpr int kBlockRows = 4;  // that share the loading of weights

// What resize_block() works in: each row of a block as integers, before and after.
struct Wide {
  Wide(size_t in_bytes, size_t out_bytes) {
    // One more than the row, since pixels are read and written four lanes at a time.
    for (auto& row : in) row.resize(in_bytes + 1);
    for (auto& row : out) row.resize(out_bytes + 1);
  }
  std::vector<int32_t> in[kBlockRows];
  std::vector<int32_t> out[kBlockRows];
};

// kBlockRows rows of `filter.taps.size()` pixels; `in` and `out` are `*_stride` bytes apart, and
// `in` starts at the first pixel that the filter needs.
TARFLOW_SIMD_CLONES void resize_block(const uint8_t* in, size_t in_stride, const Filter& filter,
                                      Wide& wide, uint8_t* out, size_t out_stride) {
  const int in_bytes = 3 * (filter.last() - filter.first());
  const int count = static_cast<int>(filter.taps.size());
  for (int r = 0; r < kBlockRows; ++r) {
    const uint8_t* row = in + in_stride * r;
    int32_t* integers = wide.in[r].data();
    for (int j = 0; j < in_bytes; ++j) integers[j] = row[j];
  }
  const int32_t* rows[kBlockRows];
  int32_t* sums[kBlockRows];
  for (int r = 0; r < kBlockRows; ++r) {
    rows[r] = wide.in[r].data();
    sums[r] = wide.out[r].data();
  }
  for (int i = 0; i < count; ++i) {
    const Taps& taps = filter.taps[i];
    const size_t first = size_t{3} * (taps.first - filter.first());
    Lanes sum[kBlockRows];
    for (Lanes& lanes : sum) lanes = Lanes{kHalf, kHalf, kHalf, kHalf};
    for (int k = 0; k < taps.count; ++k) {
      const int32_t weight = taps.weights[k];
      for (int r = 0; r < kBlockRows; ++r) sum[r] += load(rows[r] + first + 3 * k) * weight;
    }
    // The fourth lane is overwritten by the next pixel.
    for (int r = 0; r < kBlockRows; ++r) std::memcpy(sums[r] + 3 * i, &sum[r], sizeof sum[r]);
  }
  for (int r = 0; r < kBlockRows; ++r) {
    for (int j = 0; j < 3 * count; ++j) out[out_stride * r + j] = to_byte(sums[r][j]);
  }
}

// One row of `bytes` bytes from the rows `stride` bytes apart; `sums` has room for `bytes` values.
TARFLOW_SIMD_CLONES void mix_rows(const uint8_t* in, size_t stride, const Taps& taps, int bytes,
                                  int32_t* sums, uint8_t* out) {
  std::fill_n(sums, bytes, kHalf);
  for (int k = 0; k < taps.count; ++k) {
    const uint8_t* row = in + stride * (taps.first + k);
    const int32_t weight = taps.weights[k];
    for (int j = 0; j < bytes; ++j) sums[j] += row[j] * weight;
  }
  for (int j = 0; j < bytes; ++j) out[j] = to_byte(sums[j]);
}

// Rows of pixels, possibly a part of a larger image.
struct Rows {
  const uint8_t* pixels = nullptr;
  size_t stride = 0;  // bytes
};

// Rows [first, last) of the image resized along x; row `first` comes first in the result.
std::vector<uint8_t> resize_rows(const Image& image, const Axis& x, int first, int last) {
  const Filter filter = bilinear(x);
  const size_t in_bytes = size_t{3} * (filter.last() - filter.first());
  const size_t out_bytes = size_t{3} * x.count();
  const size_t in_stride = size_t{3} * image.width;
  Wide wide(in_bytes, out_bytes);
  const auto start = [&](int y) { return image.row(y) + size_t{3} * filter.first(); };
  std::vector<uint8_t> result(out_bytes * (last - first));
  int y = first;
  for (; y + kBlockRows <= last; y += kBlockRows) {
    resize_block(start(y), in_stride, filter, wide, result.data() + out_bytes * (y - first),
                 out_bytes);
  }
  if (y == last) return result;
  // The rest fills a block of its own.
  std::vector<uint8_t> in(in_bytes * kBlockRows), out(out_bytes * kBlockRows);
  for (int r = 0; y + r < last; ++r) std::copy_n(start(y + r), in_bytes, in.data() + in_bytes * r);
  resize_block(in.data(), in_bytes, filter, wide, out.data(), out_bytes);
  std::copy_n(out.data(), out_bytes * (last - y), result.data() + out_bytes * (y - first));
  return result;
}

// Resizes along both axes, of which only the given parts are computed. An axis of unchanged length
// is copied.
Image resize_part(const Image& image, const Axis& x, const Axis& y) {
  const bool mixes_rows = y.from != y.to;
  const Filter filter = mixes_rows ? bilinear(y) : Filter{};
  const int first = mixes_rows ? filter.first() : static_cast<int>(y.begin);
  const int last = mixes_rows ? filter.last() : static_cast<int>(y.end);
  std::vector<uint8_t> resized;
  Rows rows;
  if (x.from != x.to) {
    resized = resize_rows(image, x, first, last);
    rows = {resized.data(), size_t{3} * x.count()};
  } else {
    rows = {image.row(first) + size_t{3} * x.begin, size_t{3} * image.width};
  }
  const int row_bytes = 3 * x.count();
  Image out{x.count(), y.count(), std::vector<uint8_t>(size_t(row_bytes) * y.count())};
  std::vector<int32_t> sums(mixes_rows ? row_bytes : 0);
  for (int i = 0; i < y.count(); ++i) {
    if (mixes_rows) {
      Taps taps = filter.taps[i];
      taps.first -= first;
      mix_rows(rows.pixels, rows.stride, taps, row_bytes, sums.data(), out.row(i));
    } else {
      std::copy_n(rows.pixels + rows.stride * i, row_bytes, out.row(i));
    }
  }
  return out;
}

void check_image(const Image& image) {
  if (image.width <= 0 || image.height <= 0)
    throw Error("an image without pixels cannot be resized");
}

// Offset of the middle `size` of n pixels: Python's round((n - size) / 2), half to even.
int64_t crop_offset(int64_t n, int size) {
  const int64_t twice = n - size;
  return twice / 2 + (twice % 2 && (twice / 2) % 2 ? 1 : 0);
}

}  // namespace

Image resize(const Image& image, int width, int height) {
  check_image(image);
  if (width <= 0 || height <= 0 || int64_t{width} * height > kMaxPixels) {
    throw Error(fmt::format("an image cannot be resized to {} x {} pixels", width, height));
  }
  return resize_part(image, {image.width, width, 0, width}, {image.height, height, 0, height});
}

Size resized_size(int64_t width, int64_t height, int size) {
  if (width <= height) return {size, size * height / width};
  return {size * width / height, size};
}

Image center_crop(const Image& image, int size) {
  if (size <= 0 || image.width < size || image.height < size) {
    throw Error(fmt::format("an image of {} x {} pixels cannot be cropped to {} x {}", image.width,
                            image.height, size, size));
  }
  const int64_t left = crop_offset(image.width, size);
  const int64_t top = crop_offset(image.height, size);
  return resize_part(image, {image.width, image.width, left, left + size},
                     {image.height, image.height, top, top + size});
}

Image preprocess(const Image& image, int size) {
  check_image(image);
  if (size <= 0) throw Error(fmt::format("images cannot be made {} pixels wide", size));
  const Size whole = resized_size(image.width, image.height, size);
  const int64_t left = crop_offset(whole.width, size);
  const int64_t top = crop_offset(whole.height, size);
  return resize_part(image, {image.width, whole.width, left, left + size},
                     {image.height, whole.height, top, top + size});
}

}  // namespace tarflow::images
