#include "framework/images/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/hash_files.h"

namespace tarflow::images {
namespace fs = std::filesystem;
namespace {

constexpr size_t kHashedAtOnce = 4096;  // files whose hashes are in memory
// Raised when the same files come to be read in another way, so that results of the old way are
// not taken for results of the new one.
constexpr std::string_view kIdentity = "image folder 2\n";

}  // namespace

std::vector<ImageFile> select_balanced(const ImageFolder& folder, int64_t n) {
  const int64_t total = static_cast<int64_t>(folder.files.size());
  if (n < 1 || n > total) {
    throw Error(
        fmt::format("cannot choose {} of the {} images in {}", n, total, folder.root.string()),
        "ask for no more than there are; 0 takes all of them");
  }
  const size_t classes = std::max<size_t>(folder.classes.size(), 1);
  const auto class_of = [](const ImageFile& file) {
    return static_cast<size_t>(std::max(file.label, 0));
  };
  std::vector<int64_t> left(classes), take(classes);
  for (const ImageFile& file : folder.files) ++left[class_of(file)];
  for (int64_t taken = 0; taken < n;) {
    for (size_t c = 0; c < classes && taken < n; ++c) {
      if (left[c] == 0) continue;
      --left[c];
      ++take[c];
      ++taken;
    }
  }
  std::vector<ImageFile> selected;
  for (const ImageFile& file : folder.files) {
    if (take[class_of(file)]-- > 0) selected.push_back(file);
  }
  return selected;
}

std::vector<ContentFile> content_files(const fs::path& root, Layout layout) {
  ImageFolder folder = list_files(root, layout);
  for (std::string& path : folder.batches) folder.files.push_back({std::move(path)});
  const size_t name_at = root.native().size() + (root.native().ends_with('/') ? 0 : 1);
  std::vector<ContentFile> files;
  files.reserve(folder.files.size());
  for (ImageFile& file : folder.files) {
    const bool broken = std::binary_search(folder.broken.begin(), folder.broken.end(), file.path);
    std::string name = file.path.substr(name_at);
    files.push_back({std::move(file.path), std::move(name), broken});
  }
  std::sort(files.begin(), files.end(),
            [](const ContentFile& a, const ContentFile& b) { return a.name < b.name; });
  return files;
}

std::string folder_content_hash(const fs::path& root, Layout layout) {
  std::error_code failed;
  if (fs::is_regular_file(root, failed)) return sha256_file(root);
  const std::vector<ContentFile> files = content_files(root, layout);
  Sha256 hash;
  hash.update(kIdentity);
  std::vector<std::string> paths;
  for (size_t done = 0; done < files.size(); done += paths.size()) {
    paths.clear();
    for (size_t i = done; i < files.size() && paths.size() < kHashedAtOnce; ++i)
      paths.push_back(files[i].path);
    const std::vector<std::string> contents = sha256_files(paths);
    for (size_t i = 0; i < paths.size(); ++i) {
      const ContentFile& file = files[done + i];
      // Once more for one that cannot be read: it throws and says why.
      const std::string content = file.broken           ? "broken"
                                  : contents[i].empty() ? sha256_file(file.path)
                                                        : contents[i];
      hash.update(fmt::format("{}:{} {}\n", file.name.size(), file.name, content));
    }
  }
  return hash.hex();
}

}  // namespace tarflow::images
