#include "framework/images/batch_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>

#include "framework/core/error.h"
#include "framework/images/decode.h"

namespace tarflow::images {
namespace fs = std::filesystem;
namespace {

constexpr const char* kArrays =
    "images are `arr_0` (N, H, W, 3) as ADM saves them, or `data` (N, 3*H*H) as in the downsampled "
    "ImageNet, in uint8";

// Whether the images are in `data`. Throws Error when there are none.
bool is_planar(const fs::path& path) {
  const checkpoint::Npz file(path);
  if (file.has("arr_0")) return false;
  if (file.has("data")) return true;
  throw Error(fmt::format("{} holds no images: it has neither `arr_0` nor `data`", path.string()),
              kArrays);
}

const char* name_of(bool planar) { return planar ? "data" : "arr_0"; }

struct Side {
  int64_t height = 0, width = 0;
};

// Of the images of an array, 0 where its shape is none of images.
Side side_of(const std::vector<int64_t>& shape, bool planar) {
  if (!planar) return shape.size() == 4 && shape[3] == 3 ? Side{shape[1], shape[2]} : Side{};
  if (shape.size() == 4) return shape[1] == 3 ? Side{shape[2], shape[3]} : Side{};
  if (shape.size() != 2 || shape[1] % 3 != 0) return {};
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(shape[1] / 3)));
  return side * side == shape[1] / 3 ? Side{side, side} : Side{};
}

}  // namespace

bool holds_images(const fs::path& file) {
  std::error_code failed;
  if (!fs::is_regular_file(file, failed)) return false;
  try {
    const checkpoint::Npz arrays(file);
    const bool statistics = arrays.has("mu") && arrays.has("sigma");
    return !statistics && (arrays.has("arr_0") || arrays.has("data"));
  } catch (const Error&) {
    return false;
  }
}

BatchFile::BatchFile(const fs::path& path)
    : path_(path), planar_(is_planar(path)), rows_(path, name_of(planar_)) {
  const std::vector<int64_t>& shape = rows_.shape();
  if (rows_.dtype() != checkpoint::DType::kUInt8) {
    throw Error(fmt::format("{}: `{}` holds {}, not uint8", path.string(), name_of(planar_),
                            checkpoint::to_string(rows_.dtype())),
                kArrays);
  }
  const Side side = side_of(shape, planar_);
  if (shape[0] < 1 || side.height < 1 || side.width < 1 || side.height > kMaxPixels ||
      side.width > kMaxPixels / side.height) {
    throw Error(fmt::format("{}: `{}` of shape ({}) is not an array of images", path.string(),
                            name_of(planar_), fmt::join(shape, ", ")),
                kArrays);
  }
  height_ = static_cast<int>(side.height);
  width_ = static_cast<int>(side.width);
}

std::optional<std::vector<int>> BatchFile::labels() const {
  const checkpoint::Npz file(path_);
  const char* name = planar_ ? "labels" : "arr_1";
  if (!file.has(name)) return std::nullopt;
  const checkpoint::NpyArray array = file.read(name);
  if (static_cast<int64_t>(array.values.size()) != count()) {
    throw Error(fmt::format("{}: `{}` has {} labels for {} images", path_.string(), name,
                            array.values.size(), count()),
                "labels are one number an image");
  }
  const int64_t first = planar_ ? 1 : 0;
  std::vector<int> labels;
  labels.reserve(array.values.size());
  for (const double value : array.values) {
    const double label = value - static_cast<double>(first);
    if (!(label >= 0 && label <= kMaxLabel) || label != std::floor(label)) {
      throw Error(
          fmt::format("{}: `{}` holds {}, which is not a label", path_.string(), name, value),
          fmt::format("labels in `{}` are whole numbers from {} on", name, first));
    }
    labels.push_back(static_cast<int>(label));
  }
  return labels;
}

Image BatchFile::read(int64_t row) {
  const std::vector<std::byte> bytes = rows_.read(row);
  Image image = blank(width_, height_, {0, 0, 0});
  if (!planar_) {
    std::memcpy(image.rgb.data(), bytes.data(), bytes.size());
    return image;
  }
  const size_t pixels = bytes.size() / 3;
  for (size_t i = 0; i < pixels; ++i) {
    for (size_t c = 0; c < 3; ++c)
      image.rgb[3 * i + c] = static_cast<uint8_t>(bytes[c * pixels + i]);
  }
  return image;
}

Image BatchReader::read(const std::string& path, int64_t row) {
  if (!file_ || path_ != path) {
    file_ = std::make_unique<BatchFile>(path);
    path_ = path;
  }
  return file_->read(row);
}

}  // namespace tarflow::images
