// Where the bytes of a checkpoint's storages lie: entries of a zip archive, or runs of a legacy or
// safetensors file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/pickle.h"

namespace tarflow::checkpoint {

inline constexpr const char* kDamaged =
    "the file is cut short or damaged: copy or download it again";

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

// A file of the safetensors format: https://huggingface.co/docs/safetensors, "Format". Nothing is
// pickled in it.
struct OpenedSafetensors {
  std::vector<TensorInfo> tensors;  // in the order of their bytes
  std::unique_ptr<StorageReader> storages;
};
// Throws Error for a header that is not what the format asks for: too long, no JSON, a key twice,
// bytes that overlap, leave a gap or lie outside of the file, a size other than shape * dtype.
OpenedSafetensors open_safetensors_file(const std::filesystem::path& path);

enum class Format { kZip, kLegacy, kSafetensors };
// By the file's first bytes, whatever its name is. Throws Error that says what the file is instead
// (a web page, a Git LFS pointer, an archive, ...).
Format format_of(const std::filesystem::path& path);

}  // namespace tarflow::checkpoint
