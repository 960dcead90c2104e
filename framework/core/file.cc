#include "framework/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "framework/core/error.h"

namespace tarflow {
namespace fs = std::filesystem;
namespace {

// Makes the file (or folder) reach the disk; a rename without it can survive a crash that its
// content does not.
void sync_path(const fs::path& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) throw Error(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
  const int failed = ::fsync(file);
  const int reason = errno;
  ::close(file);
  // Some network file systems refuse to sync folders; the file itself must sync.
  if (failed && !(flags & O_DIRECTORY)) {
    throw Error(fmt::format("cannot write {}: {}", path.string(), std::strerror(reason)));
  }
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in || fs::is_directory(path)) {
    throw Error(fmt::format("cannot read {}: {}", path.string(),
                            fs::is_directory(path) ? "it is a folder" : std::strerror(errno)));
  }
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) throw Error(fmt::format("cannot read {} to its end", path.string()));
  return std::move(text).str();
}

void write_aside(const fs::path& path, const std::function<void(const fs::path&)>& write) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed)
    throw Error(fmt::format("cannot make the folder {}: {}", folder.string(), failed.message()));
  const fs::path aside = folder / fmt::format(".{}.{}.part", path.filename().string(), ::getpid());
  try {
    write(aside);
    sync_path(aside, O_RDONLY);
    fs::rename(aside, path, failed);
    if (failed) {
      throw Error(fmt::format("cannot rename {} to {}: {}", aside.string(), path.string(),
                              failed.message()));
    }
    sync_path(folder, O_RDONLY | O_DIRECTORY);
  } catch (...) {
    fs::remove(aside, failed);
    throw;
  }
}

void write_file(const fs::path& path, std::string_view content) {
  write_aside(path, [&](const fs::path& aside) {
    std::ofstream out(aside, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    out.flush();
    if (!out) throw Error(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  });
}

}  // namespace tarflow
