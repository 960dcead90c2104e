// Zip archives of users, read without trusting what they claim. For this room and the tests alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

struct zip;
struct zip_file;

namespace tarflow::checkpoint {

class ZipArchive {
 public:
  struct Entry {
    std::string name;
    uint64_t index = 0;
    uint64_t size = 0;    // uncompressed
    bool stored = false;  // not compressed
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

  // The uncompressed bytes of one entry, some at a time. The archive must outlive it.
  class Stream {
   public:
    Stream(const ZipArchive& archive, Entry entry);
    // Fills `to` with the bytes from `offset` on. Quick in rising order; going back in a compressed
    // entry unpacks it again from its beginning. Throws Error.
    void read(uint64_t offset, std::span<std::byte> to);

   private:
    struct Close {
      void operator()(::zip_file* file) const;
    };
    void open();
    void skip_to(uint64_t offset);
    uint64_t read_some(std::span<std::byte> to);

    const ZipArchive& archive_;
    Entry entry_;
    std::unique_ptr<::zip_file, Close> file_;
    uint64_t at_ = 0;
  };

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
