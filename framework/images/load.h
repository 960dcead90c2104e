// Loading listed images in order, decoded and preprocessed on several threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "framework/images/folder.h"
#include "framework/images/image.h"

namespace tarflow::images {

struct LoadOptions {
  int size = 0;                // images are preprocessed (resize.h) to size x size
  int threads = 0;             // that decode; 0: one a core
  int64_t max_unreadable = 0;  // more unreadable files than this end the loading
};

struct UnreadableFile {
  std::filesystem::path path;
  std::string reason;
};

// Throws Error that names the files when they are more than `allowed`.
void require_few(const std::vector<UnreadableFile>& unreadable, int64_t allowed);

// Takes image `index` of the list; called from the loading thread, in order of the index.
using UseImage = std::function<void(int64_t index, Image image)>;

// Decodes and preprocesses the files on several threads, a bounded number ahead of `use`, which
// gets them in list order. Files that cannot be read are left out and returned; one more than
// max_unreadable throws Error naming them. What `use` throws ends the loading and is passed on.
std::vector<UnreadableFile> load_images(std::span<const ImageFile> files,
                                        const LoadOptions& options, const UseImage& use);

}  // namespace tarflow::images
