// What a file is by its first bytes, for messages about a file that is not what its name says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "framework/core/error.h"

namespace tarflow {

// The repair where a file is not what it should be because it was not downloaded whole.
inline constexpr const char* kGetItAgain =
    "the download failed or left a placeholder: get it again";

struct ContentKind {
  std::string name;    // with its article, "a CSV file"; "" where the bytes tell nothing
  std::string repair;  // what to do where that kind is a well-known accident, else ""
  bool text = false;   // whether its beginning can be shown to a reader
};

inline constexpr const char* kHdf5Kind = "an HDF5 file";
inline constexpr const char* kTarKind = "a tar archive";

// Of the first bytes of a file of `size` bytes; a few thousand suffice.
ContentKind kind_of(std::string_view head, uint64_t size);
// Nothing for what is absent, unreadable or no regular file.
ContentKind kind_of_file(const std::filesystem::path& file);

// Whether the file begins as a zip archive, whole or not.
bool is_zip_file(const std::filesystem::path& file);
// Whether the file begins as torch.save wrote it before it wrote zip archives.
bool is_pickle_file(const std::filesystem::path& file);

// "PATH is a CSV file, not WANTED", or "PATH is not WANTED" where the kind is not known, with the
// kind's own repair or else `repair`. `what` stands before the path: "the extractor ".
Error wrong_kind(const std::filesystem::path& file, const std::string& wanted,
                 const std::string& repair, const std::string& what = "");

}  // namespace tarflow
