#include "framework/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "framework/core/error.h"

namespace tarflow {
namespace fs = std::filesystem;
namespace {

// What a user can do about a write that failed for this reason (errno); "": that is not known.
std::string repair_of(int reason) {
  switch (reason) {
    case ENOSPC:
    case EDQUOT:
      return "make room there (`df -h` and `quota` show what is full), then run the same command "
             "again";
    case EROFS:
    case EACCES:
    case EPERM:
      return "see who may write there, then run the same command again";
    default:
      return "";
  }
}

[[noreturn]] void throw_unwritten(const fs::path& path, int reason) {
  throw Error(fmt::format("cannot write {}: {}", path.string(), std::strerror(reason)),
              repair_of(reason));
}

// Makes the file (or folder) reach the disk; a rename without it can survive a crash that its
// content does not. `named`: what the user knows it as.
void sync_path(const fs::path& path, const fs::path& named, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) throw Error(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
  const int failed = ::fsync(file);
  const int reason = errno;
  ::close(file);
  // Some network file systems refuse to sync folders; the file itself must sync.
  if (failed && !(flags & O_DIRECTORY)) throw_unwritten(named, reason);
}

fs::path aside_of(const fs::path& path) { return tarflow::aside_of(path, ::getpid()); }

void make_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) {
    throw Error(fmt::format("cannot make the folder {}: {}", folder.string(), failed.message()),
                repair_of(failed.value()));
  }
}

void move_into_place(const fs::path& aside, const fs::path& path) {
  std::error_code failed;
  fs::rename(aside, path, failed);
  if (failed) {
    throw Error(
        fmt::format("cannot rename {} to {}: {}", aside.string(), path.string(), failed.message()),
        repair_of(failed.value()));
  }
}

void write_bytes(const fs::path& to, const fs::path& named, std::string_view content) {
  std::ofstream out(to, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();  // a network file system may say only now that it is full
  if (!out) throw_unwritten(named, errno);
}

}  // namespace

fs::path aside_of(const fs::path& path, int64_t process) {
  return path.parent_path() / fmt::format(".{}.{}.part", path.filename().string(), process);
}

std::string read_file(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file < 0 || ::fstat(file, &status) != 0 || S_ISDIR(status.st_mode)) {
    const std::string reason = S_ISDIR(status.st_mode) ? "it is a folder" : std::strerror(errno);
    if (file >= 0) ::close(file);
    throw Error(fmt::format("cannot read {}: {}", path.string(), reason));
  }
  // What the size says, and room for what pipes and growing files have beyond it.
  std::string text(static_cast<size_t>(std::max<off_t>(status.st_size, 0)) + 1, '\0');
  size_t filled = 0;
  ssize_t bytes = 0;
  while ((bytes = ::read(file, text.data() + filled, text.size() - filled)) > 0 ||
         (bytes < 0 && errno == EINTR)) {
    filled += static_cast<size_t>(std::max<ssize_t>(bytes, 0));
    if (filled == text.size()) text.resize(2 * text.size());
  }
  ::close(file);
  if (bytes < 0) throw Error(fmt::format("cannot read {} to its end", path.string()));
  text.resize(filled);
  return text;
}

void write_aside(const fs::path& path, const std::function<void(const fs::path&)>& write) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  make_folder(folder);
  const fs::path aside = aside_of(folder / path.filename());
  try {
    write(aside);
    sync_path(aside, path, O_RDONLY);
    move_into_place(aside, path);
    sync_path(folder, folder, O_RDONLY | O_DIRECTORY);
  } catch (...) {
    std::error_code ignored;
    fs::remove(aside, ignored);
    throw;
  }
}

void write_file(const fs::path& path, std::string_view content) {
  write_aside(path, [&](const fs::path& aside) { write_bytes(aside, path, content); });
}

void write_files(const fs::path& folder,
                 const std::vector<std::pair<std::string, std::string>>& files) {
  make_folder(folder);
  try {
    for (const auto& [name, content] : files)
      write_bytes(aside_of(folder / name), folder / name, content);
    for (const auto& [name, content] : files)
      sync_path(aside_of(folder / name), folder / name, O_RDONLY);
    for (const auto& [name, content] : files)
      move_into_place(aside_of(folder / name), folder / name);
    sync_path(folder, folder, O_RDONLY | O_DIRECTORY);
  } catch (...) {
    std::error_code ignored;
    for (const auto& [name, content] : files) fs::remove(aside_of(folder / name), ignored);
    throw;
  }
}

}  // namespace tarflow
