#include "framework/job/content.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/image_settings.h"

namespace tarflow::job {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMuch = 256 << 20;  // bytes whose reading takes long enough to be announced

struct Stamp {
  std::string text;
  int64_t bytes = 0;
  time_t newest = 0;  // time of the last write or change of any file
};

void add_file(Stamp& stamp, const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    throw Error(fmt::format("cannot read {}: {}", file.string(), std::strerror(errno)));
  }
  // Not the device: the same network file system has another number on each host. No two files of
  // one inode number have the same ctime to the nanosecond.
  stamp.text += fmt::format("{} {}.{:09} {}.{:09} {}", status.st_size, status.st_mtim.tv_sec,
                            status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
                            status.st_ino);
  stamp.bytes += status.st_size;
  stamp.newest = std::max({stamp.newest, status.st_mtim.tv_sec, status.st_ctim.tv_sec});
}

Stamp stamp_of(const fs::path& path, images::Layout layout) {
  Stamp stamp;
  if (!fs::is_directory(path)) {
    add_file(stamp, path);
    return stamp;
  }
  for (const images::ContentFile& file : images::content_files(path, layout)) {
    stamp.text += file.name + "\n";
    if (!file.broken) add_file(stamp, file.path);
    stamp.text += "\n";
  }
  stamp.text = sha256_hex(stamp.text);  // a folder may hold a million files
  return stamp;
}

std::string hash_content(const fs::path& path, images::Layout layout) {
  return fs::is_directory(path) ? images::folder_content_hash(path, layout) : sha256_file(path);
}

// What a path is remembered by. `folder 2`: folders that were hashed in an earlier way count as
// new. Files have no layout.
std::string key_of(const fs::path& path, images::Layout layout) {
  static constexpr const char* kLayouts[] = {"", " flat", " classes"};
  const std::string key = "content " + fs::absolute(path).lexically_normal().string();
  return fs::is_directory(path) ? key + " folder 2" + kLayouts[static_cast<int>(layout)] : key;
}

}  // namespace

images::Layout layout_of(std::string_view field, const sweep::Settings& settings,
                         const sweep::Settings& others) {
  const char* name = layout_setting_of(field);
  const Json* word = settings.find(name);
  if (!word) word = others.find(name);
  return images::layout_from(word && word->is_string() ? word->get<std::string>() : "");
}

std::string content_stamp(const fs::path& path, images::Layout layout) {
  return stamp_of(path, layout).text;
}

ContentHasher::ContentHasher(const fs::path& cache_folder, ReadNotice notice,
                             int64_t settled_seconds)
    : notice_(std::move(notice)), settled_seconds_(settled_seconds) {
  if (cache_folder.empty()) return;
  cache_file_ = cache_folder / "contents.json";
  std::error_code ignored;
  if (!fs::exists(cache_file_, ignored)) return;
  try {
    known_ = read_json_file(cache_file_);
    if (!known_.is_object()) known_ = Json::object();
  } catch (const Error&) {
    known_ = Json::object();
  }
}

std::string ContentHasher::hash(const fs::path& path, images::Layout layout) {
  return known(path, layout).value;
}

std::string ContentHasher::stamp(const fs::path& path, images::Layout layout) {
  return known(path, layout).stamp;
}

const ContentHasher::Known& ContentHasher::known(const fs::path& path, images::Layout layout) {
  auto& by_path = by_path_[layout];
  if (const auto asked = by_path.find(path.native()); asked != by_path.end()) {
    return *asked->second;
  }
  const Known& found = look_up(path, layout);
  by_path[path.native()] = &found;
  return found;
}

void ContentHasher::assume(const fs::path& path, const std::string& identity) {
  for (const images::Layout layout :
       {images::Layout::kAuto, images::Layout::kFlat, images::Layout::kClasses}) {
    const Known& made = seen_[key_of(path, layout)] = {identity, ""};
    by_path_[layout][path.native()] = &made;
  }
}

const ContentHasher::Known& ContentHasher::look_up(const fs::path& path, images::Layout layout) {
  const std::string key = key_of(path, layout);
  // Many points name the same files, and even to list a folder of a million takes long.
  if (const auto seen = seen_.find(key); seen != seen_.end()) return seen->second;
  const Stamp stamp = stamp_of(path, layout);
  const auto entry = known_.find(key);
  if (entry != known_.end() && entry->is_object() && entry->value("stamp", Json()) == stamp.text &&
      entry->value("value", Json()).is_string()) {
    return seen_[key] = {entry->at("value").get<std::string>(), stamp.text};
  }
  if (notice_ && stamp.bytes >= kMuch) notice_(path);
  std::string value = hash_content(path, layout);
  if (std::time(nullptr) - stamp.newest <= settled_seconds_) return seen_[key] = {value, ""};
  known_[key] = {{"stamp", stamp.text}, {"value", value}};
  changed_ = true;
  return seen_[key] = {value, stamp.text};
}

void ContentHasher::save() const {
  if (!changed_ || cache_file_.empty()) return;
  try {
    write_json_file(cache_file_, known_);
  } catch (const Error&) {
    // Another run hashes again; the results themselves say when the folder cannot be written.
  }
}

}  // namespace tarflow::job
