// Identity of files and folders by content, remembered by path and stamp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "framework/core/json.h"
#include "framework/images/folder.h"
#include "framework/sweep/settings.h"

namespace tarflow::job {

// What tells without reading whether a file or a folder is as it was: size, time of the last write,
// time of the last change (ctime, which no program can set) and inode of the file, or a hash of
// those of all files of the folder that hash() would read, to which alone `layout` matters. Links
// are followed. Two equal stamps mean equal content once both times are some seconds old; different
// stamps mean nothing, since a copy or another host's view of a network file system has its own.
// Throws Error when the file is absent or a folder cannot be listed.
std::string content_stamp(const std::filesystem::path& path,
                          images::Layout layout = images::Layout::kAuto);

// File systems keep times coarsely: a file changed a moment ago can change again and keep its
// stamp.
inline constexpr int64_t kSettledSeconds = 2;

// Called with a path before much of it is read.
using ReadNotice = std::function<void(const std::filesystem::path&)>;

// The layout of the folder that the setting `field` names, as `settings` state it, or else
// `others`. kAuto where neither does.
images::Layout layout_of(std::string_view field, const sweep::Settings& settings,
                         const sweep::Settings& others = {});

class ContentHasher {
 public:
  // Each path is looked at once in the life of the object. Remembers in
  // `cache_folder`/contents.json; an empty path remembers nothing beyond this object. A cache that
  // is absent or damaged is an empty one. The hash of a file that changed less than
  // `settled_seconds` ago is not remembered.
  explicit ContentHasher(const std::filesystem::path& cache_folder, ReadNotice notice = {},
                         int64_t settled_seconds = kSettledSeconds);

  // SHA-256 of a file; images::folder_content_hash of a folder, to which alone `layout` matters.
  // Throws Error when it cannot be read.
  std::string hash(const std::filesystem::path& path,
                   images::Layout layout = images::Layout::kAuto);
  // The stamp that proves the same content later, on this host or another that sees the same file
  // system; "" where none does: the file changed a moment ago, or assume() gave its identity.
  std::string stamp(const std::filesystem::path& path,
                    images::Layout layout = images::Layout::kAuto);

  // From now on the answer for a path, whatever the layout: of a file that is to be made, and of
  // which it is known how.
  void assume(const std::filesystem::path& path, const std::string& identity);

  // Keeps what was learnt. A cache that cannot be written costs time and nothing else.
  void save() const;

 private:
  struct Known {
    std::string value, stamp;
  };
  const Known& known(const std::filesystem::path& path, images::Layout layout);
  const Known& look_up(const std::filesystem::path& path, images::Layout layout);

  std::filesystem::path cache_file_;
  ReadNotice notice_;
  int64_t settled_seconds_;
  Json known_ = Json::object();        // "content <path>" -> {"stamp", "value"}
  std::map<std::string, Known> seen_;  // by the same key: asked of this object before
  // As asked -> entry of seen_.
  std::map<images::Layout, std::unordered_map<std::string, const Known*>> by_path_;
  bool changed_ = false;
};

}  // namespace tarflow::job
