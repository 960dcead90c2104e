// A file that is read at any place, for the formats that are not archives. For this room alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace tarflow::checkpoint {

class RandomFile {
 public:
  explicit RandomFile(const std::filesystem::path& path);  // throws Error
  ~RandomFile();
  RandomFile(const RandomFile&) = delete;
  RandomFile& operator=(const RandomFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }

  // All of the bytes, or an Error that names the file and the place.
  void read(uint64_t offset, void* into, size_t bytes) const;

 private:
  std::filesystem::path path_;
  int file_;
  uint64_t size_ = 0;
};

}  // namespace tarflow::checkpoint
