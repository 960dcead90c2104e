#include "framework/core/stamp.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace tarflow {
namespace {

constexpr time_t kSettledSeconds = 2;

}  // namespace

FileStamp file_stamp(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {"", true};
  const time_t newest = std::max(status.st_mtim.tv_sec, status.st_ctim.tv_sec);
  return {fmt::format("{} {}.{} {}.{} {}", status.st_size, status.st_mtim.tv_sec,
                      status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
                      status.st_ino),
          std::abs(std::time(nullptr) - newest) > kSettledSeconds};
}

}  // namespace tarflow
