#include "framework/checkpoint/random_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/checkpoint/storage.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {

RandomFile::RandomFile(const std::filesystem::path& path)
    : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status;
  if (file_ < 0 || ::fstat(file_, &status) != 0) {
    const int reason = errno;
    if (file_ >= 0) ::close(file_);
    throw Error(fmt::format("cannot read {}: {}", path.string(), std::strerror(reason)));
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

RandomFile::~RandomFile() { ::close(file_); }

void RandomFile::read(uint64_t offset, void* into, size_t bytes) const {
  auto* out = static_cast<char*>(into);
  while (bytes > 0) {
    const ssize_t got = ::pread(file_, out, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw Error(fmt::format("{}: cannot read at byte {}: {}", path_.string(), offset,
                              got < 0 ? std::strerror(errno) : "the file ends there"),
                  kDamaged);
    }
    out += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
}

}  // namespace tarflow::checkpoint
