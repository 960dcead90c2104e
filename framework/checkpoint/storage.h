// Where the bytes of a checkpoint's storages lie: entries of a zip archive, or runs of a legacy
// file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "framework/checkpoint/pickle.h"

namespace tarflow::checkpoint {

class StorageReader {
 public:
  virtual ~StorageReader() = default;
  // Bytes that the file holds of this storage. Throws Error when it holds none by that key.
  virtual uint64_t size(const std::string& key) const = 0;
  // All of them. Throws Error when they cannot be read or are damaged.
  virtual std::vector<std::byte> read(const std::string& key) const = 0;
};

// A checkpoint's object as pickled, and its storages. The pickle's texts lie in `pickle_bytes`.
struct OpenedFile {
  std::vector<char> pickle_bytes;
  Pickle pickle;
  std::unique_ptr<StorageReader> storages;
};

// The zip format of PyTorch since 1.6: NAME/data.pkl, NAME/data/KEY, NAME/byteorder. Throws Error.
OpenedFile open_zip_file(const std::filesystem::path& path);

// The format before: consecutive pickles, then the storages (method.md section 1, "File formats").
// Throws Error.
OpenedFile open_legacy_file(const std::filesystem::path& path);

}  // namespace tarflow::checkpoint
