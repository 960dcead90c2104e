// Where a sweep's files are looked for.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace tarflow::sweep {

struct FoundPath {
  std::filesystem::path path;  // absolute; of an absent file where it was looked for first
  bool present = false;
  std::string looked_in;  // folders, for a message; "" for an absolute path
  std::string near;       // of an absent file: a path that may have been meant, or ""
};

// In this order: the YAML file's folder; models/ and data/ in the current folder, in the YAML
// file's folder and in the folder above it; the current folder and the folder above the YAML
// file's; models/ and data/ of the site's folder where they are (core/share.h). All absolute.
std::vector<std::filesystem::path> search_folders(const std::filesystem::path& yaml_file);

// Relative to the current folder where that is shorter.
std::string shown_path(const std::filesystem::path& path);

// A leading `~/` is the home folder. Files in `made`, absolute, count as present: they will be.
FoundPath find_path(const std::string& written, const std::vector<std::filesystem::path>& folders,
                    const std::set<std::filesystem::path>& made = {});

}  // namespace tarflow::sweep
