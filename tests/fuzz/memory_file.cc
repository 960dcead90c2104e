#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/targets.h"

namespace tarflow::fuzz {

MemoryFile::MemoryFile()
    : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)),
      path_(fmt::format("/proc/self/fd/{}", descriptor_)) {
  must(descriptor_ >= 0, "the system offers no files in memory");
}

MemoryFile::~MemoryFile() { ::close(descriptor_); }

const std::filesystem::path& MemoryFile::put(std::string_view bytes) {
  const auto size = static_cast<ssize_t>(bytes.size());
  const bool written = ::ftruncate(descriptor_, 0) == 0 &&
                       ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) == size;
  must(written, "the memory is full");
  return path_;
}

}  // namespace tarflow::fuzz
