// Folders of images: listing, choosing, and the identity of their content.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tarflow::images {

struct ImageFile {
  std::string path;  // with the root; no fs::path, which takes four times the memory
  int label = -1;    // index into ImageFolder::classes; -1 without classes
  bool operator==(const ImageFile&) const = default;
};

struct ImageFolder {
  std::filesystem::path root;
  std::vector<std::string>
      classes;                   // names of the class folders, sorted by byte; empty: no classes
  std::vector<ImageFile> files;  // class by class; inside a class by folder, then by name
};

// Lists the .jpg, .jpeg and .png files (any case) of a folder as torchvision's ImageFolder does:
// every folder in `root` is a class, whose subfolders belong to it, and files beside class folders
// are left out. A million files take about 200 MB. Without class folders the files in `root` are
// one list without labels. Symbolic links are followed, but not into a folder they lie in. Throws
// Error when the folder is missing, or it or a class of it has no images.
ImageFolder list_images(const std::filesystem::path& root);

// The first n / classes files of each class, the first n % classes classes giving one more; classes
// with too few give all they have and the others fill up in turns. In listing order. Throws Error
// when there are fewer than n.
std::vector<ImageFile> select_balanced(const ImageFolder& folder, int64_t n);

// SHA-256 of the lines "<SHA-256 of the content>  <path inside the folder>\n" of all files of
// list_images(), sorted by path: `sha256sum` over the listed files, hashed. A file that cannot be
// read counts as "unreadable". Reads every file. Throws Error as list_images().
std::string folder_content_hash(const std::filesystem::path& root);

}  // namespace tarflow::images
