// Zip archives of stored entries. For this room alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace tarflow::checkpoint {

// Fills a span with the next bytes of an entry. The spans of one entry are as many bytes as the
// entry has.
using FillBytes = std::function<void(std::span<std::byte>)>;

struct ZipEntryToWrite {
  std::string name;
  uint64_t size = 0;
  // Called when the entry's turn has come, so that only one entry need be in memory.
  std::function<FillBytes()> open;
};

// Writes the entries in order, aside and then renamed, without compression. The content of each
// begins at a multiple of 64 bytes. The same entries give the same file, bit for bit. Throws Error;
// what `open` and its functions throw is passed on.
void write_zip(const std::filesystem::path& path, const std::vector<ZipEntryToWrite>& entries);

}  // namespace tarflow::checkpoint
