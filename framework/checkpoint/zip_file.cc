#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/storage.h"
#include "framework/checkpoint/zip_archive.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

// "NAME/" of an archive with NAME/data.pkl, "" without: torch.save puts everything into one folder,
// whose name is free.
std::string folder_of(const ZipArchive& archive) {
  for (const std::string& name : archive.names()) {
    const size_t slash = name.find('/');
    if (slash == std::string::npos || name.substr(slash) != "/data.pkl") continue;
    return name.substr(0, slash + 1);
  }
  return "";
}

constexpr const char* kRepair = "name the .pth file that torch.save(model.state_dict()) wrote";

class ZipStorages : public StorageReader {
 public:
  explicit ZipStorages(const std::filesystem::path& path)
      : archive_(path), prefix_(folder_of(archive_)) {
    if (prefix_.empty()) refuse(path);
    if (has("constants.pkl")) {
      throw Error(fmt::format("{} is a TorchScript archive, not a state dict", path.string()),
                  kRepair);
    }
  }

  uint64_t size(const std::string& key) const override {
    return archive_.entry(prefix_ + "data/" + key).size;
  }
  std::vector<std::byte> read(const std::string& key) const override {
    return archive_.read(archive_.entry(prefix_ + "data/" + key));
  }

  bool has(const std::string& name) const { return archive_.has(prefix_ + name); }

  // A small entry.
  std::vector<char> text(const std::string& name, uint64_t at_most) const {
    const ZipArchive::Entry found = archive_.entry(prefix_ + name);
    if (found.size > at_most)
      archive_.fail(found, fmt::format("has {} bytes, more than {}", found.size, at_most));
    const std::vector<std::byte> bytes = archive_.read(found);
    const char* begin = reinterpret_cast<const char*>(bytes.data());
    return std::vector<char>(begin, begin + bytes.size());
  }

  const std::string& prefix() const { return prefix_; }

 private:
  // Archives that look like a checkpoint from outside.
  [[noreturn]] void refuse(const std::filesystem::path& path) const {
    for (const std::string& name : archive_.names()) {
      if (name.ends_with(".npy"))
        throw Error(fmt::format("{} is a NumPy .npz archive, no checkpoint", path.string()),
                    kRepair);
      for (const char* ending : {".pth", ".pt", ".safetensors"}) {
        if (!name.ends_with(ending)) continue;
        throw Error(fmt::format("{} is a zip archive around {}, no checkpoint itself",
                                path.string(), printable(name)),
                    "unpack it, and name the file in it");
      }
    }
    throw Error(fmt::format("{} is a zip archive without NAME/data.pkl", path.string()), kRepair);
  }

  ZipArchive archive_;
  std::string prefix_;  // "NAME/"
};

}  // namespace

bool is_checkpoint_archive(const std::filesystem::path& path) {
  try {
    const ZipArchive archive(path);
    const std::string folder = folder_of(archive);
    return !folder.empty() && !archive.has(folder + "constants.pkl");
  } catch (const Error&) {
    return false;
  }
}

OpenedFile open_zip_file(const std::filesystem::path& path) {
  OpenedFile opened;
  auto storages = std::make_unique<ZipStorages>(path);
  // Files from before the entry existed were written on little-endian machines.
  const std::vector<char> order =
      storages->has("byteorder") ? storages->text("byteorder", kMaxNameBytes) : std::vector<char>();
  if (const std::string_view name(order.data(), order.size()); !name.empty() && name != "little") {
    throw Error(fmt::format("{}: byte order is `{}`", path.string(), printable(name)),
                "only little-endian checkpoints are read: load and save it again with PyTorch");
  }
  opened.pickle_bytes = storages->text("data.pkl", kMaxPickleBytes);
  opened.pickle =
      parse_pickle({opened.pickle_bytes.data(), opened.pickle_bytes.size()}, 0,
                   fmt::format("{}: {}data.pkl", path.string(), printable(storages->prefix())));
  opened.storages = std::move(storages);
  return opened;
}

}  // namespace tarflow::checkpoint
