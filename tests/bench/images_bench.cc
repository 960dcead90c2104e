// What images cost on one core, and folders of very many:
//   bench_images decode FOLDER [SIZE...]   CPU time of decoding and resizing the files of a folder
//   bench_images save FOLDER [SIZE...]     encoding the images of a folder, and writing them as a
//   set bench_images folder FOLDER             time and peak memory of listing, choosing and
//   hashing
// pillow_bench.py does the first with Pillow, and makes folders for both.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "framework/core/file.h"
#include "framework/images/decode.h"
#include "framework/images/folder.h"
#include "framework/images/image_set.h"
#include "framework/images/load.h"
#include "framework/images/png.h"
#include "framework/images/resize.h"

namespace tarflow::images {
namespace {

constexpr int kRounds = 5;  // the best counts: other work on the machine only adds

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Milliseconds an item, of the best of kRounds.
double best_ms(size_t items, const std::function<void()>& action) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    const double start = cpu_seconds();
    action();
    best = std::min(best, cpu_seconds() - start);
  }
  return 1e3 * best / static_cast<double>(items);
}

void bench_decode(const std::filesystem::path& folder, const std::vector<int>& sizes) {
  std::vector<std::string> files;
  for (const ImageFile& file : list_images(folder).files) files.push_back(read_file(file.path));
  std::vector<Image> images(files.size());
  const double decoding = best_ms(files.size(), [&] {
    for (size_t i = 0; i < files.size(); ++i) images[i] = decode(files[i], "image");
  });
  fmt::print("decode {:8.3f} ms an image\n", decoding);
  for (const int size : sizes) {
    const double resizing = best_ms(files.size(), [&] {
      for (const Image& image : images) preprocess(image, size);
    });
    const double both = best_ms(files.size(), [&] {
      for (const std::string& file : files) preprocess(decode(file, "image"), size);
    });
    fmt::print("to {:4} resize {:8.3f} ms, both {:8.3f} ms an image, {:7.1f} images/s\n", size,
               resizing, both, 1e3 / both);
  }
}

// What `save_images` takes of one image: CPU time of encoding, and the wall clock of a part of 64
// images until it is on the disk. The sampling of 50,000 images may lose 2 % to it in all, and it
// runs in a thread beside the sampling.
void bench_save(const std::filesystem::path& folder, const std::vector<int>& sizes) {
  std::vector<std::string> files;
  for (const ImageFile& file : list_images(folder).files) files.push_back(read_file(file.path));
  for (const int size : sizes) {
    std::vector<Image> images;
    for (size_t i = 0; i < 64; ++i)
      images.push_back(preprocess(decode(files[i % files.size()], "image"), size));
    size_t bytes = 0, fast_bytes = 0;
    const double plain = best_ms(images.size(), [&] {
      bytes = 0;
      for (const Image& image : images) bytes += encode_png(image).size();
    });
    const double fast = best_ms(images.size(), [&] {
      fast_bytes = 0;
      for (const Image& image : images) fast_bytes += encode_png_fast(image).size();
    });
    fmt::print("{:4}: png {:.2f} ms and {} bytes, fast {:.2f} ms and {} bytes an image\n", size,
               plain, bytes / images.size(), fast, fast_bytes / images.size());
    for (const SetFormat format : {SetFormat::kPng, SetFormat::kNpz}) {
      const ImageSet set(std::filesystem::temp_directory_path() / "bench_images_save", "set",
                         format);
      set.clear();
      const SetPart part = part_of(images, {});
      const auto start = std::chrono::steady_clock::now();
      constexpr int kParts = 8;
      for (int number = 0; number < kParts; ++number) {
        SetPart next = part;
        for (int64_t& index : next.indices) index += 64 * number;
        set.write_part(number, next);
      }
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      fmt::print("      {}: {:.2f} ms an image on the disk\n",
                 format == SetFormat::kPng ? "png" : "npz",
                 1e3 * took.count() / static_cast<double>(kParts * 64));
      set.clear();
    }
  }
}

void timed(const std::string& what, const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{:<22} {:8.2f} s, peak memory {} MiB\n", what, took.count(), usage.ru_maxrss / 1024);
}

void bench_folder(const std::filesystem::path& path) {
  ImageFolder folder;
  std::vector<ImageFile> chosen;
  timed("list_images", [&] { folder = list_images(path); });
  fmt::print("{} files of {} classes\n", folder.files.size(), folder.classes.size());
  const auto half = static_cast<int64_t>(folder.files.size() / 2);
  timed("select_balanced, half", [&] { chosen = select_balanced(folder, half); });
  timed("load_images, to 32", [&] {
    load_images(folder.files, {.size = 32, .max_unreadable = half}, [](int64_t, const Image&) {});
  });
  folder = {};
  chosen = {};
  timed("folder_content_hash", [&] { folder_content_hash(path); });
}

}  // namespace
}  // namespace tarflow::images

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  if (what == "folder") {
    tarflow::images::bench_folder(argv[2]);
  } else if (what == "decode" || what == "save") {
    std::vector<int> sizes;
    for (int i = 3; i < argc; ++i) sizes.push_back(std::atoi(argv[i]));
    if (sizes.empty()) sizes = {64, 128, 256};
    (what == "save" ? tarflow::images::bench_save : tarflow::images::bench_decode)(argv[2], sizes);
  } else {
    fmt::print(stderr, "bench_images decode|save|folder FOLDER [SIZE...]\n");
    return 2;
  }
  return 0;
}
