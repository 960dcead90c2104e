// Identity of files and folders by content, remembered by path and stamp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "framework/core/json.h"

namespace tarflow::schedule {

// What tells without reading whether a file or a folder is as it was: size, time of the last write,
// time of the last change (ctime, which no program can set) and inode of the file, or a hash of
// those of all files of the folder that hash() would read. Links are followed. Two equal stamps
// mean equal content once both times are some seconds old; different stamps mean nothing, since a
// copy or another host's view of a network file system has its own. Throws Error when the file is
// absent or a folder cannot be listed.
std::string content_stamp(const std::filesystem::path& path);

// File systems keep times coarsely: a file changed a moment ago can change again and keep its
// stamp.
inline constexpr int64_t kSettledSeconds = 2;

// Called with a path before much of it is read.
using ReadNotice = std::function<void(const std::filesystem::path&)>;

class ContentHasher {
 public:
  // Each path is looked at once in the life of the object. Remembers in
  // `cache_folder`/contents.json; an empty path remembers nothing beyond this object. A cache that
  // is absent or damaged is an empty one. The hash of a file that changed less than
  // `settled_seconds` ago is not remembered.
  explicit ContentHasher(const std::filesystem::path& cache_folder, ReadNotice notice = {},
                         int64_t settled_seconds = kSettledSeconds);

  // SHA-256 of a file; of a folder, over the relative names and contents of all files in it but
  // hidden ones, in the order of their names. Throws Error when it cannot be read.
  std::string hash(const std::filesystem::path& path);
  // The stamp that proves the same content later, on this host or another that sees the same file
  // system; "" where none does: the file changed a moment ago, or assume() gave its identity.
  std::string stamp(const std::filesystem::path& path);

  // From now on the answer for a path: of a file that is to be made, and of which it is known how.
  void assume(const std::filesystem::path& path, std::string identity);

  // Keeps what was learnt. A cache that cannot be written costs time and nothing else.
  void save() const;

 private:
  struct Known {
    std::string value, stamp;
  };
  const Known& known(const std::filesystem::path& path);
  const Known& look_up(const std::filesystem::path& path);

  std::filesystem::path cache_file_;
  ReadNotice notice_;
  int64_t settled_seconds_;
  Json known_ = Json::object();        // "content <path>" -> {"stamp", "value"}
  std::map<std::string, Known> seen_;  // by the same key: asked of this object before
  std::unordered_map<std::string, const Known*> by_path_;  // as asked -> entry of seen_
  bool changed_ = false;
};

}  // namespace tarflow::schedule
