// list_images(): the one place that decides which files of a folder are its images.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <system_error>

#include "framework/core/error.h"
#include "framework/images/batch_file.h"
#include "framework/images/folder.h"

namespace tarflow::images {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLayoutHelp =
    "give a folder of .jpg, .jpeg or .png files, one that holds such a folder for each class, or "
    ".npz files with arrays of images";
constexpr const char* kBothHelp =
    "`layout: flat` reads the images of the folder itself, `layout: classes` those of the folders "
    "in it; or move one of the two";
constexpr const char* kBothInClassHelp =
    "move one of the two; `layout: classes` reads both, as images of one class";

// Formats that no decoder here reads, or that are no single images.
const std::set<std::string, std::less<>> kUnreadEndings = {
    ".apng", ".arw", ".avif", ".bmp",  ".cr2", ".dds", ".dib",  ".dng",  ".exr",
    ".gif",  ".hdr", ".heic", ".heif", ".j2k", ".jfi", ".jfif", ".jif",  ".jp2",
    ".jpe",  ".jpf", ".jpx",  ".jxl",  ".jxr", ".nef", ".npy",  ".pbm",  ".pcx",
    ".pfm",  ".pgm", ".pnm",  ".ppm",  ".psd", ".tga", ".tif",  ".tiff", ".webp"};

std::string_view name_in(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// ".png" of "a.PNG", "" without one.
std::string ending_of(std::string_view name) {
  const size_t dot = name.rfind('.');
  std::string ending(dot == std::string_view::npos ? "" : name.substr(dot));
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending;
}

bool is_image_ending(std::string_view ending) {
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png";
}

std::string counted_images(size_t count) {
  return fmt::format("{} image{}", count, count == 1 ? "" : "s");
}

// What lies in a folder, sorted by name. Pipes and devices are left out, since opening them may
// never end.
struct Contents {
  std::vector<std::string> folders;
  std::vector<std::string> images;   // broken links with an image's name are among them
  std::vector<std::string> broken;   // of `images`
  std::vector<std::string> batches;  // .npz files
  std::vector<std::string> lost;     // links to nothing that have no image's name
  std::map<std::string, int64_t> unread;
};

[[noreturn]] void cannot_list(const fs::path& folder, const std::error_code& why) {
  throw Error(fmt::format("cannot list the folder {}: {}", folder.string(), why.message()),
              "make it readable, or move it out of the image folder");
}

// Most entries are known by what the folder says of them; only links are looked at.
fs::file_type type_of(const fs::directory_entry& entry) {
  std::error_code failed;
  if (entry.is_regular_file(failed)) return fs::file_type::regular;
  if (entry.is_directory(failed)) return fs::file_type::directory;
  const fs::file_type type = entry.status(failed).type();
  if (type == fs::file_type::not_found || failed == std::errc::too_many_symbolic_link_levels)
    return fs::file_type::not_found;
  if (failed) {
    throw Error(fmt::format("cannot look at {}: {}", entry.path().string(), failed.message()),
                "make it readable, or move it out of the image folder");
  }
  return type;
}

void add_entry(Contents& contents, const fs::directory_entry& entry) {
  const std::string& path = entry.path().native();
  const std::string_view name = name_in(path);
  if (is_passed_over(name)) return;
  const fs::file_type type = type_of(entry);
  if (type == fs::file_type::directory) {
    contents.folders.push_back(path);
    return;
  }
  const bool broken = type == fs::file_type::not_found;
  if (type != fs::file_type::regular && !broken) return;
  const std::string ending = ending_of(name);
  if (is_image_ending(ending)) {
    contents.images.push_back(path);
    if (broken) contents.broken.push_back(path);
  } else if (ending == ".npz") {
    contents.batches.push_back(path);
  } else if (kUnreadEndings.contains(ending)) {
    ++contents.unread[ending];
  } else if (broken) {
    contents.lost.push_back(path);
  }
}

Contents read_folder(const fs::path& folder) {
  Contents contents;
  std::error_code failed;
  fs::directory_iterator entry(folder, failed);
  for (; !failed && entry != fs::directory_iterator(); entry.increment(failed))
    add_entry(contents, *entry);
  if (failed) cannot_list(folder, failed);
  std::sort(contents.folders.begin(), contents.folders.end());
  std::sort(contents.images.begin(), contents.images.end());
  std::sort(contents.batches.begin(), contents.batches.end());
  return contents;
}

// A link without an image's name may be a class whose disk is not there, so it is not passed over.
void require_no_lost_link(const Contents& contents) {
  if (contents.lost.empty()) return;
  const std::string& first = *std::min_element(contents.lost.begin(), contents.lost.end());
  std::error_code ignored;
  throw Error(fmt::format("{} is a link that leads nowhere, to {}", first,
                          fs::read_symlink(first, ignored).string()),
              "remove it, or repair what it leads to");
}

class Listing {
 public:
  Listing(const fs::path& root, Layout layout) : layout_(layout) { found_.root = root; }

  ImageFolder list() {
    Contents contents = read_folder(found_.root);
    std::error_code failed;
    above_.push_back(fs::canonical(found_.root, failed));
    if (layout_ != Layout::kFlat) require_no_lost_link(contents);
    const bool flat =
        layout_ == Layout::kFlat ||
        (layout_ == Layout::kAuto &&
         (!contents.images.empty() || !contents.batches.empty() || contents.folders.empty()));
    if (flat) {
      if (layout_ == Layout::kAuto) require_no_images_below(contents);
      take_flat(std::move(contents));
    } else {
      take_classes(std::move(contents));
    }
    std::sort(found_.broken.begin(), found_.broken.end());
    return std::move(found_);
  }

 private:
  using Found = std::vector<std::pair<std::string, std::vector<std::string>>>;

  void take_flat(Contents contents) {
    if (contents.images.empty() && !contents.batches.empty()) {
      found_.unread = contents.unread;
      found_.batches = std::move(contents.batches);
      return;
    }
    if (contents.images.empty()) {
      throw Error(fmt::format("no images in the folder {}{}", found_.root.string(), others()),
                  kLayoutHelp);
    }
    note(contents);
    for (std::string& path : contents.images) found_.files.push_back({std::move(path), -1});
  }

  void take_classes(Contents contents) {
    if (contents.folders.empty()) {
      throw Error(fmt::format("`layout: classes`: {} has no folders in it, which would be the "
                              "classes",
                              found_.root.string()),
                  kLayoutHelp);
    }
    found_.left_out = static_cast<int64_t>(contents.images.size());
    note_unread(contents);
    for (const std::string& path : contents.folders) {
      if (add_class(path) == 0) {
        throw Error(fmt::format("no images in the class folder {}{}", path, others_in(path)),
                    "remove it, or put .jpg, .jpeg or .png files into it: every folder in an image "
                    "folder is a class");
      }
      found_.classes.emplace_back(name_in(path));
    }
  }

  // Adds the image files of one class, sorted by folder path and then by name, as torchvision sorts
  // os.walk(). Returns how many.
  size_t add_class(const std::string& folder) {
    Found found;
    const size_t count = collect(folder, found);
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    const int label = static_cast<int>(found_.classes.size());
    for (auto& [below, inside] : found) {
      for (std::string& file : inside) found_.files.push_back({std::move(file), label});
    }
    return count;
  }

  // Appends the image files of a folder and of the folders below it. Returns how many.
  size_t collect(const std::string& folder, Found& found) {
    std::error_code failed;
    const fs::path real = fs::canonical(folder, failed);
    if (failed) cannot_list(folder, failed);
    if (std::find(above_.begin(), above_.end(), real) != above_.end()) {
      throw Error(
          fmt::format("{} leads back to {}, a folder that it lies in", folder, real.string()),
          "remove the link");
    }
    above_.push_back(real);
    Contents contents = read_folder(folder);
    require_no_lost_link(contents);
    note(contents);
    const size_t own = contents.images.size();
    found.emplace_back(folder, std::move(contents.images));
    const size_t below = collect_all(contents.folders, found, folder, own, kBothInClassHelp);
    above_.pop_back();
    return own + below;
  }

  // Of folders in `folder`, which has `own` images itself. Throws where both have some, unless the
  // layout says what is meant.
  size_t collect_all(const std::vector<std::string>& folders, Found& found,
                     const std::string& folder, size_t own, const char* repair) {
    size_t below = 0;
    std::vector<std::string> with_images;
    for (const std::string& path : folders) {
      const size_t count = collect(path, found);
      below += count;
      if (count > 0) with_images.push_back(path);
    }
    if (layout_ == Layout::kAuto && own > 0 && below > 0) {
      throw Error(
          fmt::format(
              "{} has {} of its own, and {} in the folder {}{}", folder, counted_images(own),
              counted_images(below), with_images.front(),
              with_images.size() == 1 ? "" : fmt::format(" and {} more", with_images.size() - 1)),
          repair);
    }
    return below;
  }

  void require_no_images_below(const Contents& contents) {
    Listing below(found_.root, layout_);
    below.above_ = above_;
    Found found;
    const size_t own = contents.images.size();
    below.collect_all(contents.folders, found, found_.root.string(), own + contents.batches.size(),
                      kBothHelp);
    if (own > 0 || contents.batches.empty() || !below.found_.unread.contains(".npz")) return;
    throw Error(fmt::format("{} has .npz files of its own, and the folders in it have some as well",
                            found_.root.string()),
                "put them into one folder; or `layout: flat` reads those of the folder itself");
  }

  void note_unread(const Contents& contents) {
    for (const auto& [ending, count] : contents.unread) found_.unread[ending] += count;
    if (!contents.batches.empty())
      found_.unread[".npz"] += static_cast<int64_t>(contents.batches.size());
  }

  void note(const Contents& contents) {
    note_unread(contents);
    found_.broken.insert(found_.broken.end(), contents.broken.begin(), contents.broken.end());
  }

  std::string others() const { return others_in(found_.root); }

  // What a folder without images holds instead: " (4 other files, such as a.webp)", or nothing.
  static std::string others_in(const fs::path& folder) {
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

  const Layout layout_;
  ImageFolder found_;
  std::vector<fs::path> above_;  // real paths of the folders on the way down
};

// Adds the images in the .npz files.
void add_batches(ImageFolder& folder) {
  int most = -1;
  std::optional<bool> labelled;
  for (const std::string& path : folder.batches) {
    const BatchFile batch(path);
    const std::optional<std::vector<int>> labels = batch.labels();
    if (labelled.value_or(labels.has_value()) != labels.has_value()) {
      throw Error(fmt::format("{} has {}, unlike {}", path, labels ? "labels" : "no labels",
                              folder.batches.front()),
                  "give labels to all of the files, or to none");
    }
    labelled = labels.has_value();
    for (int64_t row = 0; row < batch.count(); ++row) {
      const int label = labels ? (*labels)[static_cast<size_t>(row)] : -1;
      most = std::max(most, label);
      folder.files.push_back({path, label, row});
    }
  }
  for (int label = 0; label <= most; ++label) folder.classes.push_back(fmt::to_string(label));
}

}  // namespace

Layout layout_from(std::string_view word) {
  if (word.empty()) return Layout::kAuto;
  if (word == "flat") return Layout::kFlat;
  if (word == "classes") return Layout::kClasses;
  throw Error(fmt::format("there is no layout `{}`", word), "state flat or classes");
}

bool is_passed_over(std::string_view name) {
  return name.starts_with('.') || name == "__MACOSX" || name == "@eaDir";
}

ImageFolder list_images(const fs::path& root, Layout layout) {
  ImageFolder folder = list_files(root, layout);
  if (!folder.batches.empty()) add_batches(folder);
  return folder;
}

ImageFolder list_files(const fs::path& root, Layout layout) {
  std::error_code failed;
  if (fs::is_regular_file(root, failed) && ending_of(root.native()) == ".npz") {
    if (layout != Layout::kAuto) {
      throw Error(fmt::format("{} is a file; a layout is of a folder", root.string()),
                  "leave the layout out");
    }
    ImageFolder folder;
    folder.root = root;
    folder.batches.push_back(root.string());
    return folder;
  }
  if (!fs::is_directory(root, failed)) {
    const bool link = fs::is_symlink(root, failed), exists = fs::exists(root, failed);
    throw Error(fmt::format("the image folder {} {}", root.string(),
                            exists ? "is not a folder"
                            : link ? "is a link that leads nowhere"
                                   : "does not exist"),
                kLayoutHelp);
  }
  return Listing(root, layout).list();
}

std::vector<std::string> warnings_of(const ImageFolder& folder) {
  std::vector<std::string> warnings;
  if (!folder.unread.empty()) {
    int64_t total = 0;
    std::vector<std::string> kinds;
    for (const auto& [ending, count] : folder.unread) {
      kinds.push_back(fmt::format("{} {}", count, ending));
      total += count;
    }
    warnings.push_back(fmt::format(
        "{}: {} image file{} not read ({}); .jpg, .jpeg and .png files are read",
        folder.root.string(), total, total == 1 ? " is" : "s are", fmt::join(kinds, ", ")));
  }
  if (folder.left_out > 0) {
    warnings.push_back(fmt::format("{}: `layout: classes` leaves out {} beside the class folders",
                                   folder.root.string(),
                                   counted_images(static_cast<size_t>(folder.left_out))));
  }
  return warnings;
}

}  // namespace tarflow::images
