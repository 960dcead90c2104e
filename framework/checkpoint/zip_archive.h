// Zip archives of users, read without trusting what they claim. For this room and the tests alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct zip;

namespace tarflow::checkpoint {

class ZipArchive {
 public:
  struct Entry {
    std::string name;
    uint64_t index = 0;
    uint64_t size = 0;  // uncompressed
  };

  // Throws Error naming the file when it is no zip archive.
  explicit ZipArchive(const std::filesystem::path& path);
  ~ZipArchive();
  ZipArchive(ZipArchive&&) noexcept;

  const std::filesystem::path& path() const { return path_; }

  std::vector<std::string> names() const;  // as the archive spells them, in its order
  bool has(const std::string& name) const { return locate(name).has_value(); }

  // Checked so that `size` bytes may be allocated: what a stored entry claims lies in the file, and
  // a deflated one claims no more than its bytes can grow to. Throws Error naming the entry, also
  // when it is missing, encrypted or compressed in another way.
  Entry entry(const std::string& name) const;

  // To the end, where the checksum is compared. The memory grows with what is really there. Throws
  // Error.
  std::vector<std::byte> read(const Entry& entry) const;

  // Throws Error about the entry.
  [[noreturn]] void fail(const Entry& entry, const std::string& why) const;

 private:
  struct Discard {
    void operator()(::zip* archive) const;
  };

  std::optional<uint64_t> locate(const std::string& name) const;

  std::filesystem::path path_;
  std::unique_ptr<::zip, Discard> zip_;
  uint64_t file_bytes_ = 0;
};

}  // namespace tarflow::checkpoint
