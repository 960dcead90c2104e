#include "framework/schedule/content.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/hash_files.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMuch = 256 << 20;    // bytes whose reading takes long enough to be announced
constexpr size_t kHashedAtOnce = 4096;  // files whose hashes are in memory

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

bool hidden(const fs::path& path) {
  const std::string& text = path.native();
  const size_t slash = text.rfind('/');
  return text.compare(slash == std::string::npos ? 0 : slash + 1, 1, ".") == 0;
}

// Paths of all files below `folder` relative to it, hidden ones left out, sorted.
std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> names;
  const std::string& start = folder.native();
  const size_t name_at = start.size() + (start.ends_with('/') ? 0 : 1);
  try {
    fs::recursive_directory_iterator entry(folder, fs::directory_options::follow_directory_symlink),
        end;
    for (; entry != end; ++entry) {
      if (hidden(entry->path())) {
        if (entry->is_directory()) entry.disable_recursion_pending();
      } else if (entry->is_regular_file()) {
        names.push_back(entry->path().native().substr(name_at));
      }
    }
  } catch (const fs::filesystem_error& failure) {
    throw Error(fmt::format("cannot list {}: {}", folder.string(), failure.code().message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Stamp stamp_of(const fs::path& path) {
  Stamp stamp;
  if (!fs::is_directory(path)) {
    add_file(stamp, path);
    return stamp;
  }
  for (const std::string& name : files_below(path)) {
    stamp.text += name + "\n";
    add_file(stamp, path / name);
    stamp.text += "\n";
  }
  stamp.text = sha256_hex(stamp.text);  // a folder may hold a million files
  return stamp;
}

std::string hash_content(const fs::path& path) {
  if (!fs::is_directory(path)) return sha256_file(path);
  const std::vector<std::string> names = files_below(path);
  Sha256 hash;
  std::vector<std::string> files;
  for (size_t done = 0; done < names.size(); done += files.size()) {
    files.clear();
    for (size_t i = done; i < names.size() && files.size() < kHashedAtOnce; ++i) {
      files.push_back((path / names[i]).native());
    }
    const std::vector<std::string> contents = sha256_files(files);
    for (size_t i = 0; i < files.size(); ++i) {
      const std::string& name = names[done + i];
      // Once more for one that cannot be read: it throws and says why.
      const std::string content = contents[i].empty() ? sha256_file(files[i]) : contents[i];
      hash.update(fmt::format("{}:{} {}\n", name.size(), name, content));
    }
  }
  return hash.hex();
}

}  // namespace

std::string content_stamp(const fs::path& path) { return stamp_of(path).text; }

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

std::string ContentHasher::hash(const fs::path& path) { return known(path).value; }

std::string ContentHasher::stamp(const fs::path& path) { return known(path).stamp; }

const ContentHasher::Known& ContentHasher::known(const fs::path& path) {
  if (const auto asked = by_path_.find(path.native()); asked != by_path_.end()) {
    return *asked->second;
  }
  const Known& found = look_up(path);
  by_path_[path.native()] = &found;
  return found;
}

void ContentHasher::assume(const fs::path& path, std::string identity) {
  const std::string key = "content " + fs::absolute(path).lexically_normal().string();
  by_path_[path.native()] = &(seen_[key] = {std::move(identity), ""});
}

const ContentHasher::Known& ContentHasher::look_up(const fs::path& path) {
  const std::string key = "content " + fs::absolute(path).lexically_normal().string();
  // Many points name the same files, and even to list a folder of a million takes long.
  if (const auto seen = seen_.find(key); seen != seen_.end()) return seen->second;
  const Stamp stamp = stamp_of(path);
  const auto entry = known_.find(key);
  if (entry != known_.end() && entry->is_object() && entry->value("stamp", Json()) == stamp.text &&
      entry->value("value", Json()).is_string()) {
    return seen_[key] = {entry->at("value").get<std::string>(), stamp.text};
  }
  if (notice_ && stamp.bytes >= kMuch) notice_(path);
  std::string value = hash_content(path);
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

}  // namespace tarflow::schedule
