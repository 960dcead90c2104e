#include "framework/core/aside.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "framework/core/error.h"

namespace tarflow {
namespace fs = std::filesystem;

bool is_absent(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

fs::path set_aside(const fs::path& file, const char* word) {
  fs::path aside;
  int number = 1;
  do {
    aside = file;
    aside += fmt::format(".{}-{}", word, number++);
  } while (!is_absent(aside) && number < 10'000);
  std::error_code failed;
  fs::rename(file, aside, failed);
  if (failed) {
    throw Error(fmt::format("cannot rename {} to {}: {}", file.string(), aside.filename().string(),
                            failed.message()),
                "see who may write there, or move the file away");
  }
  return aside;
}

}  // namespace tarflow
