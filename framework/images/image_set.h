// Sets of images in files that other programs read: a folder of PNG files, or one .npz file in the
// layout of the ADM suite. A job writes a set part by part, perhaps in several processes and
// starts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "framework/images/image.h"

namespace tarflow::images {

enum class SetFormat {
  kPng,  // FOLDER/000000.png, named by the image's index, and labels.csv beside them
  kNpz,  // arr_0 (N, H, W, 3) uint8 in the order of the indices, and labels in arr_1 (N) int64
};
// "png" or "npz". Throws Error.
SetFormat set_format_from(const std::string& text);

// Some images of a set, all of one size.
struct SetPart {
  std::vector<int64_t> indices;  // of each image in the set, rising; without those left out
  std::vector<int64_t> labels;   // of each image; {} where there are none
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // (n, height, width, 3)
};

// Images first, first + 1 ... as one part.
SetPart part_of(std::span<const Image> images, std::vector<int64_t> labels, int64_t first = 0);

// A set `name` in a folder. A part counts as written when its images are on the disk. The set
// counts as whole when its manifest `name.json` is there, which is written last.
class ImageSet {
 public:
  ImageSet(std::filesystem::path folder, std::string name, SetFormat format)
      : folder_(std::move(folder)), name_(std::move(name)), format_(format) {}

  // The folder of PNG files, or the .npz file.
  std::filesystem::path path() const;
  // Removes the set in either format, whole or not. Throws Error.
  void clear() const;
  // The manifest says that all images are written in this format. It holds when the images
  // themselves were moved elsewhere.
  bool whole() const;
  bool has_part(int64_t number) const;  // in this format
  // May be called from any process and thread, each part by one of them. Throws Error, with a
  // repair where the disk is full.
  void write_part(int64_t number, const SetPart& part) const;
  // Puts parts 0 to parts - 1 together and writes the manifest. Throws Error when one is missing.
  void finish(int64_t parts) const;
  // Says that another set of the folder, which is whole, holds the images of this one as well.
  void refer_to(const ImageSet& other) const;

 private:
  struct Index;  // of a part: all but its pixels

  std::filesystem::path manifest() const { return folder_ / (name_ + ".json"); }
  std::filesystem::path parts_folder() const { return folder_ / ("." + name_ + ".parts"); }
  std::filesystem::path part_file(int64_t number, const std::string& extension) const;
  std::filesystem::path index_file(int64_t number) const;  // of a part in this format
  std::vector<Index> read_indices(int64_t parts) const;
  void finish_png(const std::vector<Index>& parts) const;
  void finish_npz(const std::vector<Index>& parts) const;
  void write_manifest(const std::string& path, int64_t images, bool labels) const;

  std::filesystem::path folder_;
  std::string name_;
  SetFormat format_;
};

// One set at once: a new folder of PNG files, or an .npz file where `to` ends so. Throws Error,
// also for a folder with files in it: images of two sets would be taken for one.
void write_set(const std::filesystem::path& to, const SetPart& all);

}  // namespace tarflow::images
