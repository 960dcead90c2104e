// Images in the .npz files in which ImageNet64 and the sample sets of ADM are spread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/checkpoint/npz.h"
#include "framework/images/image.h"

namespace tarflow::images {

// The largest label that is read: labels are small numbers, and a list is kept for each.
inline constexpr int64_t kMaxLabel = 999'999;

// Whether a file is to be read as images: an .npz with an array `arr_0` or `data`. A file with `mu`
// and `sigma` holds statistics, whatever else is in it. False for what cannot be read.
bool holds_images(const std::filesystem::path& file);

// An .npz file with uint8 images, row by row:
// - `arr_0` (N, H, W, 3), and perhaps labels from 0 on in `arr_1` (N), as ADM saves its samples;
// - `data` (N, 3 H W) with H = W, or (N, 3, H, W), and perhaps labels from 1 on in `labels` (N), as
//   the downsampled ImageNet has them.
class BatchFile {
 public:
  // Throws Error naming the file, and the array when it has another type or shape.
  explicit BatchFile(const std::filesystem::path& path);

  int64_t count() const { return rows_.shape()[0]; }
  // N labels from 0 on; none when the file has none. Throws Error when they are no labels.
  std::optional<std::vector<int>> labels() const;
  // Throws Error. Best in rising order (checkpoint::NpzRows).
  Image read(int64_t row);

 private:
  std::filesystem::path path_;
  bool planar_;  // `data`: red, green and blue apart
  checkpoint::NpzRows rows_;
  int height_ = 0, width_ = 0;
};

// Reads rows of several files; keeps the last file open.
class BatchReader {
 public:
  Image read(const std::string& path, int64_t row);

 private:
  std::string path_;
  std::unique_ptr<BatchFile> file_;
};

}  // namespace tarflow::images
