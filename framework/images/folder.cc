#include "framework/images/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <system_error>

#include "framework/core/error.h"
#include "framework/core/hash.h"

namespace tarflow::images {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLayoutHelp =
    "give a folder of .jpg, .jpeg or .png files, or one that holds such a folder for each class";

bool has_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// What lies in a folder, sorted by name: its folders, and its files with an image's name. Broken
// links count as files, to be reported as unreadable; pipes and devices do not, since opening them
// may never end.
struct Contents {
  std::vector<fs::path> folders;
  std::vector<fs::path> files;
};

Contents read_folder(const fs::path& folder) {
  Contents contents;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      std::error_code ignored;
      const fs::file_status status = entry.status(ignored);
      if (fs::is_directory(status)) {
        contents.folders.push_back(entry.path());
      } else if (has_image_name(entry.path()) &&
                 (fs::is_regular_file(status) ||
                  (entry.is_symlink(ignored) && !fs::exists(status)))) {
        contents.files.push_back(entry.path());
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(
        fmt::format("cannot list the folder {}: {}", folder.string(), error.code().message()));
  }
  const auto by_name = [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); };
  std::sort(contents.folders.begin(), contents.folders.end(), by_name);
  std::sort(contents.files.begin(), contents.files.end(), by_name);
  return contents;
}

// Appends the image files of a class folder and of the folders below it. `above`: the real paths of
// the folders on the way down, by which a link back to one of them is known.
void collect(const fs::path& folder, std::vector<fs::path>& above,
             std::vector<std::pair<fs::path, std::vector<fs::path>>>& found) {
  std::error_code failed;
  const fs::path real = fs::canonical(folder, failed);
  if (failed || std::find(above.begin(), above.end(), real) != above.end()) return;
  above.push_back(real);
  Contents contents = read_folder(folder);
  found.emplace_back(folder, std::move(contents.files));
  for (const fs::path& below : contents.folders) collect(below, above, found);
  above.pop_back();
}

// The image files of one class, sorted by folder path and then by name, as torchvision sorts
// os.walk().
std::vector<fs::path> class_files(const fs::path& folder, const fs::path& root) {
  std::error_code failed;
  std::vector<fs::path> above{fs::canonical(root, failed)};
  std::vector<std::pair<fs::path, std::vector<fs::path>>> found;
  collect(folder, above, found);
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first.native() < b.first.native(); });
  std::vector<fs::path> files;
  for (auto& [below, inside] : found) files.insert(files.end(), inside.begin(), inside.end());
  return files;
}

}  // namespace

ImageFolder list_images(const fs::path& root) {
  std::error_code failed;
  if (!fs::is_directory(root, failed)) {
    const bool exists = fs::exists(root, failed);
    throw Error(fmt::format("the image folder {} {}", root.string(),
                            exists ? "is not a folder" : "does not exist"),
                kLayoutHelp);
  }
  const Contents contents = read_folder(root);
  ImageFolder folder{root, {}, {}};
  for (const fs::path& path : contents.files) folder.files.push_back({path, -1});
  if (contents.folders.empty()) {
    if (folder.files.empty())
      throw Error(fmt::format("no images in the folder {}", root.string()), kLayoutHelp);
    return folder;
  }
  folder.files.clear();
  for (const fs::path& path : contents.folders) {
    const std::vector<fs::path> files = class_files(path, root);
    if (files.empty()) {
      throw Error(fmt::format("no images in the class folder {}", path.string()),
                  "remove it: every folder in an image folder is a class");
    }
    for (const fs::path& file : files)
      folder.files.push_back({file, static_cast<int>(folder.classes.size())});
    folder.classes.push_back(path.filename().string());
  }
  return folder;
}

std::vector<ImageFile> select_balanced(const ImageFolder& folder, int64_t n) {
  const int64_t total = static_cast<int64_t>(folder.files.size());
  if (n < 1 || n > total) {
    throw Error(
        fmt::format("cannot choose {} of the {} images in {}", n, total, folder.root.string()));
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

std::string folder_content_hash(const fs::path& root) {
  const ImageFolder folder = list_images(root);
  std::vector<std::pair<std::string, const fs::path*>> files;
  for (const ImageFile& file : folder.files) {
    files.emplace_back(file.path.lexically_relative(root).generic_string(), &file.path);
  }
  std::sort(files.begin(), files.end());
  Sha256 hash;
  for (const auto& [name, path] : files) {
    std::string content = "unreadable";
    try {
      content = sha256_file(*path);
    } catch (const Error&) {  // loading decides whether it may be left out
    }
    hash.update(fmt::format("{}  {}\n", content, name));
  }
  return hash.hex();
}

}  // namespace tarflow::images
