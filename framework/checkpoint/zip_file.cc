#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <optional>

#include "framework/checkpoint/storage.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

// Deflate cannot shrink more than this, so an entry that claims more lies about its size.
constexpr uint64_t kMaxDeflateRatio = 1032;
constexpr const char* kDamaged = "the file is cut short or damaged: copy or download it again";

class ZipStorages : public StorageReader {
 public:
  explicit ZipStorages(const std::filesystem::path& path) : path_(path) {
    int code = 0;
    zip_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
    if (!zip_) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      const std::string reason = zip_error_strerror(&error);
      zip_error_fini(&error);
      throw Error(fmt::format("cannot read {} as a zip archive: {}", path.string(), reason),
                  kDamaged);
    }
    file_bytes_ = std::filesystem::file_size(path);
    find_prefix();
  }

  uint64_t size(const std::string& key) const override { return entry("data/" + key).size; }
  std::vector<std::byte> read(const std::string& key) const override {
    return read_entry(entry("data/" + key));
  }

  bool has(const std::string& name) const { return locate(name).has_value(); }

  // A small entry.
  std::vector<char> text(const std::string& name, uint64_t at_most) const {
    const Entry found = entry(name);
    if (found.size > at_most)
      fail(found, fmt::format("has {} bytes, more than {}", found.size, at_most));
    const std::vector<std::byte> bytes = read_entry(found);
    const char* begin = reinterpret_cast<const char*>(bytes.data());
    return std::vector<char>(begin, begin + bytes.size());
  }

  const std::string& prefix() const { return prefix_; }

 private:
  struct Entry {
    std::string name;
    uint64_t index = 0;
    uint64_t size = 0;  // uncompressed
  };

  [[noreturn]] void fail(const Entry& entry, const std::string& why) const {
    throw Error(fmt::format("{}: the entry {} {}", path_.string(), printable(entry.name), why),
                kDamaged);
  }

  // torch.save puts everything into one folder, whose name is free.
  void find_prefix() {
    const zip_int64_t entries = zip_get_num_entries(zip_.get(), 0);
    for (zip_int64_t i = 0; i < entries; ++i) {
      const char* name = zip_get_name(zip_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
      const std::string_view text = name ? name : "";
      const size_t slash = text.find('/');
      if (slash == std::string_view::npos || text.substr(slash) != "/data.pkl") continue;
      prefix_ = text.substr(0, slash + 1);
      if (has("constants.pkl")) {
        throw Error(fmt::format("{} is a TorchScript archive, not a state dict", path_.string()),
                    "name the .pth file that torch.save(model.state_dict()) wrote");
      }
      return;
    }
    throw Error(fmt::format("{} is a zip archive without NAME/data.pkl", path_.string()),
                "name the .pth file that torch.save(model.state_dict()) wrote");
  }

  std::optional<uint64_t> locate(const std::string& name) const {
    const zip_int64_t index = zip_name_locate(zip_.get(), (prefix_ + name).c_str(), ZIP_FL_ENC_RAW);
    return index < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(index));
  }

  // Checked so that `size` bytes may be allocated: what a stored entry claims lies in the file, and
  // a deflated one claims no more than its bytes can grow to.
  Entry entry(const std::string& name) const {
    Entry entry{prefix_ + name, 0, 0};
    const auto index = locate(name);
    if (!index) fail(entry, "is missing");
    entry.index = *index;
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(zip_.get(), entry.index, 0, &stat) != 0)
      fail(entry, zip_strerror(zip_.get()));
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((stat.valid & kNeeded) != kNeeded) fail(entry, "does not state its size");
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) && stat.encryption_method != ZIP_EM_NONE) {
      fail(entry, "is encrypted");
    }
    if (stat.comp_size > file_bytes_)
      fail(entry, fmt::format("claims {} bytes of the file", stat.comp_size));
    if (stat.comp_method == ZIP_CM_STORE) {
      if (stat.size != stat.comp_size) fail(entry, "is stored in another size than its own");
    } else if (stat.comp_method == ZIP_CM_DEFLATE) {
      if (stat.size / kMaxDeflateRatio > stat.comp_size) {
        fail(entry, fmt::format("claims to unpack from {} to {} bytes", stat.comp_size, stat.size));
      }
    } else {
      fail(entry, fmt::format("is compressed by method {}; only stored and deflated ones are read",
                              stat.comp_method));
    }
    entry.size = stat.size;
    return entry;
  }

  // To the end, where libzip compares the checksum. The memory grows with what is really there.
  std::vector<std::byte> read_entry(const Entry& entry) const {
    constexpr uint64_t kFirst = uint64_t{16} << 20;
    const std::unique_ptr<zip_file_t, decltype(&zip_fclose)> file(
        zip_fopen_index(zip_.get(), entry.index, 0), &zip_fclose);
    if (!file) fail(entry, fmt::format("cannot be read: {}", zip_strerror(zip_.get())));
    std::vector<std::byte> bytes;
    uint64_t filled = 0;
    while (filled < entry.size) {
      if (filled == bytes.size()) bytes.resize(std::min(entry.size, std::max(kFirst, 2 * filled)));
      const zip_int64_t got = zip_fread(file.get(), bytes.data() + filled, bytes.size() - filled);
      if (got < 0) fail(entry, fmt::format("cannot be read: {}", zip_file_strerror(file.get())));
      if (got == 0) fail(entry, fmt::format("ends after {} of {} bytes", filled, entry.size));
      filled += static_cast<uint64_t>(got);
    }
    std::byte beyond;
    const zip_int64_t got = zip_fread(file.get(), &beyond, 1);
    if (got < 0) fail(entry, fmt::format("is damaged: {}", zip_file_strerror(file.get())));
    if (got > 0) fail(entry, fmt::format("is longer than the {} bytes it claims", entry.size));
    return bytes;
  }

  struct Discard {
    void operator()(zip_t* zip) const { zip_discard(zip); }
  };

  std::filesystem::path path_;
  std::unique_ptr<zip_t, Discard> zip_;
  uint64_t file_bytes_ = 0;
  std::string prefix_;  // "NAME/"
};

}  // namespace

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
