// Folders of images: listing, choosing, and the identity of their content.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tarflow::images {

// Which files of a folder are its images.
enum class Layout {
  kAuto,     // as the folder is; an error when it can be read in both ways
  kFlat,     // the image files of the folder itself, without labels
  kClasses,  // every folder in it is a class, with all images below that
};

// Of the setting `layout`: flat, classes, or "" for kAuto. Throws Error for another word.
Layout layout_from(std::string_view word);

struct ImageFile {
  std::string path;  // with the root; no fs::path, which takes four times the memory
  int label = -1;    // index into ImageFolder::classes; -1 without classes
  int64_t row = -1;  // of the array when `path` is an .npz file (batch_file.h); -1: an image file
  bool operator==(const ImageFile&) const = default;
};

struct ImageFolder {
  std::filesystem::path root;
  std::vector<std::string>
      classes;                   // names of the class folders, sorted by byte; empty: no classes
  std::vector<ImageFile> files;  // class by class; inside a class by folder, then by name
  // The .npz files that hold the images, sorted by byte; empty: the images are files. Their images
  // are in the order of the files and rows, and `classes` are "0", "1", ... up to the largest
  // label.
  std::vector<std::string> batches;
  // Those of `files` that are links to nothing, sorted by byte. They count as unreadable files.
  std::vector<std::string> broken;
  // Image files that are not read because of their format: lower-case ending (".webp") -> count.
  std::map<std::string, int64_t> unread;
  int64_t left_out = 0;  // image files beside the class folders, which Layout::kClasses leaves out
};

// Whether a name in an image folder is passed over: names that begin with a dot, and the folders
// `__MACOSX` and `@eaDir` that archives and network disks leave behind.
bool is_passed_over(std::string_view name);

// Lists the .jpg, .jpeg and .png files (any case) of a folder, or else the images of its .npz
// files, or those of one .npz file (batch_file.h). A folder with images of its own is flat.
// Otherwise it is read as torchvision's ImageFolder does: every folder in `root` is a class, whose
// sub-folders belong to it. Kept out are names that is_passed_over(), and files that are no images.
// A million files take about 200 MB. Symbolic links are followed. Throws Error, with the path, when
// - a folder is missing, cannot be listed, or is a link back to a folder that it lies in;
// - a link leads nowhere, unless it has an image's name (see ImageFolder::broken);
// - the folder or a class of it has no images;
// - a folder has images of its own and images in folders below it, and the layout is kAuto;
// - an .npz file holds no images, or has labels where another has none.
ImageFolder list_images(const std::filesystem::path& root, Layout layout = Layout::kAuto);

// The same without a look into .npz files: `batches` names them, and `files` has none of theirs.
ImageFolder list_files(const std::filesystem::path& root, Layout layout);

// What the listing leaves out and a user may not expect, a sentence each.
std::vector<std::string> warnings_of(const ImageFolder& folder);

// The first n / classes files of each class, the first n % classes classes giving one more; classes
// with too few give all they have and the others fill up in turns. In listing order. Throws Error
// when there are fewer than n.
std::vector<ImageFile> select_balanced(const ImageFolder& folder, int64_t n);

// The files whose content makes the images of list_images(), sorted by path. Throws as it does.
struct ContentFile {
  std::string path;     // with the root
  std::string name;     // inside the root
  bool broken = false;  // a link that leads nowhere
};
std::vector<ContentFile> content_files(const std::filesystem::path& root,
                                       Layout layout = Layout::kAuto);

// SHA-256 of the line "image folder 2\n" and of a line "<length of the name>:<name> <SHA-256 of the
// content>\n" for each of content_files(), with "broken" in the place of the hash of a broken link.
// So it is the identity of what list_images() lists: names tell the layout. Of a file, its SHA-256.
// Reads every file.
// Throws Error as list_images(), and when a file cannot be read.
std::string folder_content_hash(const std::filesystem::path& root, Layout layout = Layout::kAuto);

}  // namespace tarflow::images
