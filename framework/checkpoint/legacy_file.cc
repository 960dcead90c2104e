#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "framework/checkpoint/random_file.h"
#include "framework/checkpoint/storage.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

// 0x1950a86a20f9469cfc6c, as protocols 2 and above write it and as protocol 1 does.
constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::string_view kMagicDecimal = "119547037146038801333356";
constexpr int64_t kProtocol = 1001;

struct Run {
  uint64_t offset = 0, bytes = 0;
};

class LegacyStorages : public StorageReader {
 public:
  LegacyStorages(std::shared_ptr<const RandomFile> file, std::map<std::string, Run> runs)
      : file_(std::move(file)), runs_(std::move(runs)) {}

  uint64_t size(const std::string& key) const override { return run(key).bytes; }
  std::vector<std::byte> read(const std::string& key) const override {
    std::vector<std::byte> bytes(run(key).bytes);
    file_->read(run(key).offset, bytes.data(), bytes.size());
    return bytes;
  }

 private:
  const Run& run(const std::string& key) const {
    const auto found = runs_.find(key);
    if (found == runs_.end()) {
      throw Error(
          fmt::format("{}: the storage {} is missing", file_->path().string(), printable(key)),
          kDamaged);
    }
    return found->second;
  }

  std::shared_ptr<const RandomFile> file_;
  std::map<std::string, Run> runs_;
};

void check_system(const Pickle& system, const std::string& origin) {
  const Value& info = system.value(system.root);
  if (info.kind != Kind::kDict)
    throw Error(fmt::format("{}: no system information", origin), kDamaged);
  const std::vector<ValueId>& items = system.items(info);
  for (size_t i = 0; i < items.size(); i += 2) {
    const Value &key = system.value(items[i]), &value = system.value(items[i + 1]);
    if (key.kind != Kind::kText || system.text(key) != "little_endian") continue;
    if (value.kind != Kind::kBool || !value.number) {
      throw Error(fmt::format("{}: the byte order is big-endian", origin),
                  "only little-endian checkpoints are read: load and save it again with PyTorch");
    }
  }
}

struct Header {
  Pickle object;
  std::vector<std::string> keys;  // of the storages, in the order of the file
  uint64_t end = 0;
};

// The five pickles before the storages. Throws TruncatedPickle when `bytes` end before they do.
Header parse_header(std::string_view bytes, const std::string& origin) {
  const Pickle magic = parse_pickle(bytes, 0, origin);
  const Value& number = magic.value(magic.root);
  if (number.kind != Kind::kBigInt ||
      (magic.text(number) != kMagic && magic.text(number) != kMagicDecimal)) {
    throw Error(fmt::format("{} is a pickle, but not one of torch.save", origin),
                "name the .pth file that torch.save(model.state_dict()) wrote");
  }
  const Pickle protocol = parse_pickle(bytes, magic.end, origin);
  const Value& version = protocol.value(protocol.root);
  if (version.kind != Kind::kInt || version.number != kProtocol) {
    throw Error(fmt::format("{}: unknown version of the legacy format", origin), kDamaged);
  }
  const Pickle system = parse_pickle(bytes, protocol.end, origin);
  check_system(system, origin);
  Header header;
  header.object = parse_pickle(bytes, system.end, origin);
  const Pickle keys = parse_pickle(bytes, header.object.end, origin);
  const Value& list = keys.value(keys.root);
  if (list.kind != Kind::kList)
    throw Error(fmt::format("{}: no list of storages", origin), kDamaged);
  if (keys.items(list).size() > kMaxTensors) {
    throw Error(fmt::format("{}: more than {} storages", origin, kMaxTensors));
  }
  for (const ValueId id : keys.items(list)) {
    const Value& key = keys.value(id);
    if (key.kind == Kind::kInt) {
      header.keys.push_back(fmt::to_string(key.number));
    } else if (key.kind == Kind::kText && key.index <= kMaxNameBytes) {
      header.keys.emplace_back(keys.text(key));
    } else {
      throw Error(fmt::format("{}: a storage without a key", origin), kDamaged);
    }
  }
  header.end = keys.end;
  return header;
}

std::map<std::string, Run> find_runs(const RandomFile& file, const Header& header) {
  std::map<std::string, uint64_t> item_sizes;
  for (const StorageRef& storage : header.object.storages) {
    const auto [known, added] = item_sizes.emplace(storage.key, item_size(storage.dtype));
    if (!added && known->second != item_size(storage.dtype)) {
      throw Error(fmt::format("{}: the storage {} is used with two element sizes",
                              file.path().string(), printable(storage.key)),
                  kDamaged);
    }
  }
  std::map<std::string, Run> runs;
  uint64_t at = header.end;
  for (const std::string& key : header.keys) {
    const auto known = item_sizes.find(key);
    if (known == item_sizes.end()) {
      throw Error(fmt::format("{}: the storage {} belongs to no tensor", file.path().string(),
                              printable(key)),
                  kDamaged);
    }
    int64_t elements = 0;
    file.read(at, &elements, sizeof elements);
    at += sizeof elements;
    const uint64_t left = file.size() - std::min(at, file.size());
    if (elements < 0 || static_cast<uint64_t>(elements) > left / known->second) {
      throw Error(
          fmt::format("{}: the storage {} claims {} elements of {} bytes where {} bytes are left",
                      file.path().string(), printable(key), elements, known->second, left),
          kDamaged);
    }
    runs[key] = {at, static_cast<uint64_t>(elements) * known->second};
    at += runs[key].bytes;
  }
  return runs;
}

}  // namespace

OpenedFile open_legacy_file(const std::filesystem::path& path) {
  const auto file = std::make_shared<const RandomFile>(path);
  OpenedFile opened;
  Header header;
  // How long the pickles are is known only when they have been read; the storages behind them stay
  // on disk.
  for (uint64_t prefix = uint64_t{1} << 20;; prefix *= 4) {
    opened.pickle_bytes.resize(std::min<uint64_t>({prefix, file->size(), kMaxPickleBytes}));
    file->read(0, opened.pickle_bytes.data(), opened.pickle_bytes.size());
    try {
      header =
          parse_header({opened.pickle_bytes.data(), opened.pickle_bytes.size()}, path.string());
      break;
    } catch (const TruncatedPickle&) {
      if (prefix >= std::min<uint64_t>(file->size(), kMaxPickleBytes)) throw;
    }
  }
  opened.storages = std::make_unique<LegacyStorages>(file, find_runs(*file, header));
  opened.pickle = std::move(header.object);
  return opened;
}

}  // namespace tarflow::checkpoint
