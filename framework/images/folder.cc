#include "framework/images/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <span>
#include <string_view>
#include <system_error>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/hash_files.h"

namespace tarflow::images {
namespace fs = std::filesystem;
namespace {

constexpr size_t kHashedAtOnce = 4096;  // files whose hashes are in memory
constexpr const char* kLayoutHelp =
    "give a folder of .jpg, .jpeg or .png files, or one that holds such a folder for each class";

bool has_image_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  const size_t dot = path.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;  // ".png" is a hidden file
  std::string extension(path.substr(dot));
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// What lies in a folder, sorted by name: its folders, and its files with an image's name. Broken
// links count as files, to be reported as unreadable; pipes and devices do not, since opening them
// may never end.
struct Contents {
  std::vector<std::string> folders;
  std::vector<std::string> files;
};

// Most entries are known by what the folder says of them; only links are looked at.
bool is_image_file(const fs::directory_entry& entry) {
  if (!has_image_name(entry.path().native())) return false;
  std::error_code ignored;
  return entry.is_regular_file(ignored) ||
         (entry.is_symlink(ignored) && !fs::exists(entry.path(), ignored));
}

Contents read_folder(const fs::path& folder) {
  Contents contents;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      std::error_code ignored;
      if (entry.is_directory(ignored)) {
        contents.folders.push_back(entry.path().native());
      } else if (is_image_file(entry)) {
        contents.files.push_back(entry.path().native());
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(
        fmt::format("cannot list the folder {}: {}", folder.string(), error.code().message()));
  }
  std::sort(contents.folders.begin(), contents.folders.end());
  std::sort(contents.files.begin(), contents.files.end());
  return contents;
}

// Appends the image files of a class folder and of the folders below it. `above`: the real paths of
// the folders on the way down, by which a link back to one of them is known.
void collect(const fs::path& folder, std::vector<fs::path>& above,
             std::vector<std::pair<std::string, std::vector<std::string>>>& found) {
  std::error_code failed;
  const fs::path real = fs::canonical(folder, failed);
  if (failed || std::find(above.begin(), above.end(), real) != above.end()) return;
  above.push_back(real);
  Contents contents = read_folder(folder);
  found.emplace_back(folder.native(), std::move(contents.files));
  for (const std::string& below : contents.folders) collect(below, above, found);
  above.pop_back();
}

// Adds the image files of one class, sorted by folder path and then by name, as torchvision sorts
// os.walk(). Returns how many.
size_t add_class(ImageFolder& images, const fs::path& folder) {
  std::error_code failed;
  std::vector<fs::path> above{fs::canonical(images.root, failed)};
  std::vector<std::pair<std::string, std::vector<std::string>>> found;
  collect(folder, above, found);
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  const int label = static_cast<int>(images.classes.size());
  const size_t before = images.files.size();
  for (auto& [below, inside] : found) {
    for (std::string& file : inside) images.files.push_back({std::move(file), label});
  }
  return images.files.size() - before;
}

// What a folder without images holds instead: " (4 other files, such as a.webp)", or nothing.
std::string other_files(const fs::path& folder) {
  std::error_code failed;
  size_t count = 0;
  std::string first;
  for (fs::recursive_directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code ignored;
    if (!entry->is_regular_file(ignored)) continue;
    const std::string name = entry->path().filename().string();
    if (count++ == 0 || name < first) first = name;
  }
  if (count == 0) return "";
  return fmt::format(" ({} other file{}, such as {})", count, count == 1 ? "" : "s", first);
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
  Contents contents = read_folder(root);
  ImageFolder folder{root, {}, {}};
  if (contents.folders.empty()) {
    if (contents.files.empty())
      throw Error(fmt::format("no images in the folder {}{}", root.string(), other_files(root)),
                  kLayoutHelp);
    for (std::string& path : contents.files) folder.files.push_back({std::move(path), -1});
    return folder;
  }
  for (const std::string& path : contents.folders) {
    if (add_class(folder, path) == 0) {
      throw Error(fmt::format("no images in the class folder {}{}", path, other_files(path)),
                  "remove it, or put .jpg, .jpeg or .png files into it: every folder in an image "
                  "folder is a class");
    }
    folder.classes.push_back(fs::path(path).filename().string());
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
  ImageFolder folder = list_images(root);
  std::vector<std::string> paths;
  paths.reserve(folder.files.size());
  for (ImageFile& file : folder.files) paths.push_back(std::move(file.path));
  folder = {};
  std::sort(paths.begin(), paths.end());  // all begin with the root
  const std::string& start = root.native();
  const size_t name_at = start.size() + (start.ends_with('/') ? 0 : 1);
  Sha256 hash;
  for (size_t done = 0; done < paths.size(); done += kHashedAtOnce) {
    const auto part = std::span(paths).subspan(done, std::min(kHashedAtOnce, paths.size() - done));
    const std::vector<std::string> contents = sha256_files(part);
    for (size_t i = 0; i < part.size(); ++i) {
      // Loading decides whether an unreadable file may be left out.
      hash.update(fmt::format("{}  {}\n", contents[i].empty() ? "unreadable" : contents[i],
                              std::string_view(part[i]).substr(name_at)));
    }
  }
  return hash.hex();
}

}  // namespace tarflow::images
