// Identity of files and folders by content, remembered by path, size and time.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "framework/core/experiment.h"
#include "framework/core/json.h"
#include "framework/images/folder.h"
#include "framework/sweep/settings.h"

namespace tarflow::schedule {

// Called with a path before much of it is read.
using ReadNotice = std::function<void(const std::filesystem::path&)>;

// The layout of the folder that `field` names, as the settings of its point state it.
images::Layout layout_of(const Field& field, const sweep::Settings& settings);

class ContentHasher {
 public:
  // Each path is looked at once in the life of the object. Remembers in
  // `cache_folder`/contents.json; an empty path remembers nothing beyond this object. A cache that
  // is absent or damaged is an empty one.
  explicit ContentHasher(const std::filesystem::path& cache_folder, ReadNotice notice = {});

  // SHA-256 of a file; images::folder_content_hash of a folder, to which alone `layout` matters.
  // Throws Error when it cannot be read.
  std::string hash(const std::filesystem::path& path,
                   images::Layout layout = images::Layout::kAuto);

  // From now on the answer for a path: of a file that is to be made, and of which it is known how.
  void assume(const std::filesystem::path& path, std::string identity);

  // Keeps what was learnt. A cache that cannot be written costs time and nothing else.
  void save() const;

 private:
  const std::string& look_up(const std::filesystem::path& path, images::Layout layout);

  std::filesystem::path cache_file_;
  ReadNotice notice_;
  Json known_ = Json::object();              // "content <path>" -> {"stamp", "value"}
  std::map<std::string, std::string> seen_;  // by the same key: asked of this object before
  // As asked -> value in seen_.
  std::map<images::Layout, std::unordered_map<std::string, const std::string*>> by_path_;
  bool changed_ = false;
};

}  // namespace tarflow::schedule
