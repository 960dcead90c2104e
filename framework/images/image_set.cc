#include "framework/images/image_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <future>
#include <memory>

#include "framework/checkpoint/npz_writer.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/json.h"
#include "framework/images/png.h"

namespace tarflow::images {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLabelsFile = "labels.csv";
constexpr const char* kMakeRoom =
    "make room on the disk, or see who may write there; finished work is kept, and the same "
    "command goes on from there";

const char* name_of(SetFormat format) { return format == SetFormat::kPng ? "png" : "npz"; }

std::string png_name(int64_t index) { return fmt::format("{:06}.png", index); }

size_t image_bytes(int width, int height) {
  return size_t{3} * static_cast<size_t>(width) * static_cast<size_t>(height);
}

// What `write` throws, with a repair.
template <typename Write>
void with_repair(const Write& write) {
  try {
    write();
  } catch (const Error& failure) {
    Problem problem = failure.problems().front();
    if (problem.repair.empty()) problem.repair = kMakeRoom;
    throw Error(problem);
  }
}

void remove_tree(const fs::path& path) {
  std::error_code failed;
  fs::remove_all(path, failed);
  if (failed)
    throw Error(fmt::format("cannot remove {}: {}", path.string(), failed.message()),
                "see who may write there");
}

// Of images first, first + step ...
std::vector<std::pair<std::string, std::string>> png_files(const SetPart& part, size_t first = 0,
                                                           size_t step = 1) {
  std::vector<std::pair<std::string, std::string>> files;
  const size_t bytes = image_bytes(part.width, part.height);
  for (size_t i = first; i < part.indices.size(); i += step) {
    const auto begin = part.rgb.begin() + static_cast<std::ptrdiff_t>(i * bytes);
    const Image image{part.width, part.height, {begin, begin + static_cast<std::ptrdiff_t>(bytes)}};
    files.emplace_back(png_name(part.indices[i]), encode_png_fast(image));
  }
  return files;
}

// Encoding takes milliseconds an image, and so does waiting for the disk, so that some threads
// share the images.
void write_png_files(const fs::path& folder, const SetPart& part) {
  constexpr size_t kThreads = 4;
  std::vector<std::future<void>> writers;
  for (size_t first = 0; first < kThreads; ++first) {
    writers.push_back(std::async(std::launch::async, [&folder, &part, first] {
      write_files(folder, png_files(part, first, kThreads));
    }));
  }
  std::exception_ptr failure;
  for (std::future<void>& writer : writers) {
    try {
      writer.get();
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

void add_labels(std::string& csv, const std::vector<int64_t>& indices,
                const std::vector<int64_t>& labels) {
  for (size_t i = 0; i < labels.size(); ++i)
    csv += fmt::format("{},{}\n", png_name(indices[i]), labels[i]);
}

constexpr const char* kLabelsHead = "file,label\n";

// An .npz in ADM's layout; `open` gives the pixels of all images one after another.
void write_adm(const fs::path& path, int64_t count, int width, int height,
               std::function<checkpoint::FillBytes()> open, std::vector<int64_t> labels) {
  std::vector<checkpoint::NpyToWrite> arrays = {
      {"arr_0", checkpoint::DType::kUInt8, {count, height, width, 3}, std::move(open)}};
  if (!labels.empty()) {
    arrays.push_back({"arr_1", checkpoint::DType::kInt64, {count}, [&labels] {
                        return [&labels, given = size_t{0}](std::span<std::byte> to) mutable {
                          const auto* bytes = reinterpret_cast<const std::byte*>(labels.data());
                          std::memcpy(to.data(), bytes + given, to.size());
                          given += to.size();
                        };
                      }});
  }
  checkpoint::write_npz(path, arrays);
}

}  // namespace

SetFormat set_format_from(const std::string& text) {
  if (text == "png") return SetFormat::kPng;
  if (text == "npz") return SetFormat::kNpz;
  throw Error(fmt::format("`{}` is not a format of image sets", text), "valid: png, npz");
}

SetPart part_of(std::span<const Image> images, std::vector<int64_t> labels, int64_t first) {
  SetPart part;
  part.labels = std::move(labels);
  for (const Image& image : images) {
    part.indices.push_back(first + static_cast<int64_t>(part.indices.size()));
    part.width = image.width;
    part.height = image.height;
    part.rgb.insert(part.rgb.end(), image.rgb.begin(), image.rgb.end());
  }
  return part;
}

struct ImageSet::Index {
  int64_t number = 0;
  std::vector<int64_t> indices, labels;
  int width = 0, height = 0;
};

fs::path ImageSet::path() const {
  return folder_ / (format_ == SetFormat::kPng ? name_ : name_ + ".npz");
}

fs::path ImageSet::part_file(int64_t number, const std::string& extension) const {
  return parts_folder() / fmt::format("{:06}.{}", number, extension);
}

fs::path ImageSet::index_file(int64_t number) const {
  return part_file(number, fmt::format("{}.json", name_of(format_)));
}

void ImageSet::clear() const {
  remove_tree(manifest());
  remove_tree(parts_folder());
  remove_tree(folder_ / name_);
  remove_tree(folder_ / (name_ + ".npz"));
}

bool ImageSet::whole() const {
  std::error_code ignored;
  if (!fs::exists(manifest(), ignored)) return false;
  try {
    return read_json_file(manifest()).value("format", std::string()) == name_of(format_);
  } catch (const std::exception&) {
    return false;  // it is written anew with the images
  }
}

bool ImageSet::has_part(int64_t number) const {
  std::error_code ignored;
  return fs::exists(index_file(number), ignored);
}

void ImageSet::write_part(int64_t number, const SetPart& part) const {
  with_repair([&] {
    if (format_ == SetFormat::kPng) {
      write_png_files(path(), part);
    } else {
      write_file(part_file(number, "rgb"),
                 {reinterpret_cast<const char*>(part.rgb.data()), part.rgb.size()});
    }
    write_json_file(index_file(number), {{"indices", part.indices},
                                         {"labels", part.labels},
                                         {"width", part.width},
                                         {"height", part.height}});
  });
}

std::vector<ImageSet::Index> ImageSet::read_indices(int64_t parts) const {
  std::vector<Index> all;
  for (int64_t number = 0; number < parts; ++number) {
    const fs::path file = index_file(number);
    if (!has_part(number)) {
      throw Error(fmt::format("images are missing: {} is not there", file.string()),
                  "something removed it while the job ran; call the same command again with "
                  "--force to sample the images again");
    }
    const Json json = read_json_file(file);
    try {
      Index part;
      part.number = number;
      json.at("indices").get_to(part.indices);
      json.at("labels").get_to(part.labels);
      json.at("width").get_to(part.width);
      json.at("height").get_to(part.height);
      all.push_back(std::move(part));
    } catch (const Json::exception&) {
      throw Error(fmt::format("{} is damaged", file.string()),
                  "remove it, and sample the images again with --force");
    }
  }
  return all;
}

void ImageSet::finish(int64_t parts) const {
  const std::vector<Index> indices = read_indices(parts);
  int64_t images = 0;
  bool labels = false;
  for (const Index& part : indices) {
    images += static_cast<int64_t>(part.indices.size());
    labels = labels || !part.labels.empty();
  }
  with_repair([&] {
    if (format_ == SetFormat::kPng) {
      finish_png(indices);
    } else {
      finish_npz(indices);
    }
    write_manifest(path().filename().string(), images, labels);
  });
  remove_tree(parts_folder());
}

void ImageSet::finish_png(const std::vector<Index>& parts) const {
  std::string labels;
  size_t expected = 0, found = 0;
  for (const Index& part : parts) {
    expected += part.indices.size();
    add_labels(labels, part.indices, part.labels);
  }
  std::vector<fs::path> left;  // by a process that was killed
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(path(), failed)) {
    found += entry.path().extension() == ".png";
    if (entry.path().extension() == ".part") left.push_back(entry.path());
  }
  for (const fs::path& file : left) fs::remove(file, failed);
  if (found != expected) {
    throw Error(
        fmt::format("{} holds {} images, and {} were written", path().string(), found, expected),
        "something else writes there; call the same command again with --force");
  }
  if (!labels.empty()) write_file(path() / kLabelsFile, kLabelsHead + labels);
}

void ImageSet::finish_npz(const std::vector<Index>& parts) const {
  int64_t count = 0;
  int width = 0, height = 0;
  std::vector<int64_t> labels;
  for (const Index& part : parts) {
    count += static_cast<int64_t>(part.indices.size());
    labels.insert(labels.end(), part.labels.begin(), part.labels.end());
    width = std::max(width, part.width);
    height = std::max(height, part.height);
    const fs::path file = part_file(part.number, "rgb");
    std::error_code ignored;
    if (fs::file_size(file, ignored) != part.indices.size() * image_bytes(part.width, part.height))
      throw Error(fmt::format("{} is not whole", file.string()),
                  "something changed it; call the same command again with --force");
  }
  const auto open = [&]() -> checkpoint::FillBytes {
    return [this, next = int64_t{0},
            in = std::make_shared<std::ifstream>()](std::span<std::byte> to) mutable {
      while (!to.empty()) {
        if (!in->is_open()) in->open(part_file(next++, "rgb"), std::ios::binary);
        in->read(reinterpret_cast<char*>(to.data()), static_cast<std::streamsize>(to.size()));
        if (in->bad() || !(*in || in->eof()))
          throw Error(fmt::format("cannot read {}", part_file(next - 1, "rgb").string()));
        to = to.subspan(static_cast<size_t>(in->gcount()));
        if (in->eof()) *in = std::ifstream();
      }
    };
  };
  write_adm(path(), count, width, height, open, std::move(labels));
}

void ImageSet::write_manifest(const std::string& path, int64_t images, bool labels) const {
  write_json_file(
      manifest(),
      {{"format", name_of(format_)}, {"path", path}, {"images", images}, {"labels", labels}});
}

void ImageSet::refer_to(const ImageSet& other) const {
  const Json json = read_json_file(other.manifest());
  with_repair([&] {
    write_manifest(json.value("path", std::string()), json.value("images", int64_t{0}),
                   json.value("labels", false));
  });
}

void write_set(const fs::path& to, const SetPart& all) {
  const auto count = static_cast<int64_t>(all.indices.size());
  if (to.extension() == ".npz") {
    write_adm(
        to, count, all.width, all.height,
        [&all]() -> checkpoint::FillBytes {
          return [&all, given = size_t{0}](std::span<std::byte> bytes) mutable {
            std::memcpy(bytes.data(), all.rgb.data() + given, bytes.size());
            given += bytes.size();
          };
        },
        all.labels);
    return;
  }
  std::error_code ignored;
  if (fs::exists(to, ignored) && !fs::is_empty(to, ignored)) {
    throw Error(fmt::format("{} is there and is not empty", to.string()),
                "name a folder that is not there yet: images of two sets would be taken for one");
  }
  std::vector<std::pair<std::string, std::string>> files = png_files(all);
  if (!all.labels.empty()) {
    std::string labels = kLabelsHead;
    add_labels(labels, all.indices, all.labels);
    files.emplace_back(kLabelsFile, labels);
  }
  write_files(to, files);
}

}  // namespace tarflow::images
