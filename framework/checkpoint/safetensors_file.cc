#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "framework/checkpoint/random_file.h"
#include "framework/checkpoint/storage.h"
#include "framework/core/error.h"
#include "framework/core/json.h"

namespace tarflow::checkpoint {
namespace {

// The format allows 100 MB; kMaxTensors tensors take a tenth of this.
constexpr uint64_t kMaxHeaderBytes = uint64_t{16} << 20;
constexpr int kMaxDepth = 4;  // {name: {"shape": [...]}} is 3 deep

struct Span {
  uint64_t begin = 0, end = 0;  // bytes, from the end of the header
};

class SafetensorsStorages : public StorageReader {
 public:
  SafetensorsStorages(std::shared_ptr<const RandomFile> file, uint64_t data,
                      std::vector<Span> spans)
      : file_(std::move(file)), data_(data), spans_(std::move(spans)) {}

  uint64_t size(const std::string& key) const override { return span(key).end - span(key).begin; }
  std::vector<std::byte> read(const std::string& key) const override {
    std::vector<std::byte> bytes(size(key));
    file_->read(data_ + span(key).begin, bytes.data(), bytes.size());
    return bytes;
  }

 private:
  const Span& span(const std::string& key) const { return spans_.at(std::stoul(key)); }

  std::shared_ptr<const RandomFile> file_;
  uint64_t data_;  // offset of the first tensor's bytes
  std::vector<Span> spans_;
};

std::optional<DType> dtype_of(const std::string& name) {
  static constexpr std::pair<std::string_view, DType> kNames[] = {
      {"F32", DType::kFloat32}, {"BF16", DType::kBFloat16}, {"F16", DType::kFloat16},
      {"F64", DType::kFloat64}, {"I64", DType::kInt64},     {"I32", DType::kInt32},
      {"I16", DType::kInt16},   {"I8", DType::kInt8},       {"U64", DType::kUInt64},
      {"U32", DType::kUInt32},  {"U16", DType::kUInt16},    {"U8", DType::kUInt8},
      {"BOOL", DType::kBool}};
  for (const auto& [known, dtype] : kNames) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

// Reads and checks the header of one file.
class Header {
 public:
  explicit Header(const RandomFile& file) : path_(file.path()) {
    uint64_t bytes = 0;
    file.read(0, &bytes, sizeof bytes);
    if (bytes > kMaxHeaderBytes) {
      fail(fmt::format("the header of {} bytes is longer than {}", bytes, kMaxHeaderBytes));
    }
    if (bytes > file.size() - sizeof bytes) {
      fail(fmt::format("the header has {} bytes, of which the file holds {}", bytes,
                       file.size() - sizeof bytes));
    }
    data_ = sizeof bytes + bytes;
    held_ = file.size() - data_;
    std::string text(bytes, '\0');
    file.read(sizeof bytes, text.data(), text.size());
    read_entries(parse(text));
    check_spans();
  }

  uint64_t data() const { return data_; }
  std::vector<TensorInfo> tensors() { return std::move(tensors_); }
  std::vector<Span> spans() { return std::move(spans_); }

 private:
  struct Entry {
    TensorInfo tensor;
    Span span;
  };

  [[noreturn]] void fail(const std::string& why) const {
    throw Error(fmt::format("{}: {}", path_.string(), why), kDamaged);
  }
  [[noreturn]] void fail(const std::string& tensor, const std::string& why) const {
    fail(fmt::format("the tensor {} {}", printable(tensor), why));
  }

  // A key that stands twice would hide a tensor, so the parser looks at each.
  Json parse(const std::string& text) const {
    std::vector<std::set<std::string>> open;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
      if (depth > kMaxDepth) fail(fmt::format("the header is nested deeper than {}", kMaxDepth));
      if (event == Json::parse_event_t::object_start) open.emplace_back();
      if (event == Json::parse_event_t::object_end) open.pop_back();
      if (event != Json::parse_event_t::key) return true;
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open.back().insert(key).second)
        fail(fmt::format("the key {} occurs twice in the header", printable(key)));
      return true;
    };
    try {
      Json header = Json::parse(text, watch);
      if (!header.is_object()) fail("the header is no JSON object");
      return header;
    } catch (const Json::exception& failure) {
      fail(fmt::format("the header is no JSON: {}", printable(failure.what())));
    }
  }

  void read_entries(const Json& header) {
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") continue;
      if (entries.size() >= kMaxTensors) fail(fmt::format("more than {} tensors", kMaxTensors));
      if (name.size() > kMaxNameBytes) fail(fmt::format("a name of {} bytes", name.size()));
      entries.push_back(read_entry(name, value));
    }
    std::ranges::sort(entries, {}, [](const Entry& entry) {
      return std::pair(entry.span.begin, entry.span.end);
    });
    for (Entry& entry : entries) {
      entry.tensor.storage_key = fmt::to_string(spans_.size());
      tensors_.push_back(std::move(entry.tensor));
      spans_.push_back(entry.span);
    }
  }

  const Json& part(const std::string& tensor, const Json& value, const char* key) const {
    const auto found = value.find(key);
    if (found == value.end()) fail(tensor, fmt::format("has no `{}`", key));
    return *found;
  }

  // Whole numbers from 0 to the largest int64.
  std::vector<int64_t> numbers(const std::string& tensor, const Json& value,
                               const char* key) const {
    const Json& list = part(tensor, value, key);
    if (!list.is_array() || list.size() > kMaxDimensions) {
      fail(tensor,
           fmt::format("has a `{}` that is no list of {} numbers at most", key, kMaxDimensions));
    }
    std::vector<int64_t> result;
    for (const Json& number : list) {
      if (!number.is_number_unsigned() || number.get<uint64_t>() > INT64_MAX) {
        fail(tensor, fmt::format("has {} in its `{}`", printable(number.dump()), key));
      }
      result.push_back(number.get<int64_t>());
    }
    return result;
  }

  Entry read_entry(const std::string& name, const Json& value) const {
    if (!value.is_object()) fail(name, "has no description");
    Entry entry;
    entry.tensor.name = printable(name, kMaxNameBytes);
    const Json& type = part(name, value, "dtype");
    const auto dtype = type.is_string() ? dtype_of(type.get<std::string>()) : std::nullopt;
    if (!dtype) {
      throw Error(fmt::format("{}: the tensor {} has the type {}, which is not read",
                              path_.string(), entry.tensor.name, printable(type.dump())),
                  "save it as F32, BF16, F16 or F64");
    }
    entry.tensor.dtype = *dtype;
    entry.tensor.shape = numbers(name, value, "shape");
    const std::vector<int64_t> offsets = numbers(name, value, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1]) {
      fail(name, "has `data_offsets` that are no begin and end");
    }
    entry.span = {static_cast<uint64_t>(offsets[0]), static_cast<uint64_t>(offsets[1])};
    set_strides(entry);
    return entry;
  }

  // Row-major, and the size that shape and type ask for is that of the bytes.
  void set_strides(Entry& entry) const {
    TensorInfo& tensor = entry.tensor;
    tensor.strides.resize(tensor.shape.size());
    const bool empty = std::ranges::find(tensor.shape, 0) != tensor.shape.end();
    auto size = static_cast<int64_t>(item_size(tensor.dtype));
    bool possible = true;
    for (size_t i = tensor.shape.size(); i-- > 0 && !empty;) {
      tensor.strides[i] = size / static_cast<int64_t>(item_size(tensor.dtype));
      possible = possible && !__builtin_mul_overflow(size, tensor.shape[i], &size);
    }
    if (empty) size = 0;
    if (possible && static_cast<uint64_t>(size) == entry.span.end - entry.span.begin) return;
    fail(tensor.name, fmt::format("of shape {} and type {} has {} bytes", shape_str(tensor.shape),
                                  to_string(tensor.dtype), entry.span.end - entry.span.begin));
  }

  // The bytes of all tensors, in their order, are all that follows the header.
  void check_spans() const {
    uint64_t at = 0;
    for (size_t i = 0; i < spans_.size(); ++i) {
      const std::string& name = tensors_[i].name;
      if (spans_[i].end > held_) {
        fail(name, fmt::format("ends at byte {} of the data, of which the file holds {}",
                               spans_[i].end, held_));
      }
      if (spans_[i].begin < at)
        fail(name, fmt::format("overlaps the tensor {}", tensors_[i - 1].name));
      if (spans_[i].begin > at)
        fail(name, fmt::format("begins at byte {} of the data, {} bytes after the tensor before",
                               spans_[i].begin, spans_[i].begin - at));
      at = spans_[i].end;
    }
    if (at < held_) fail(fmt::format("{} bytes follow the last tensor", held_ - at));
  }

  std::filesystem::path path_;
  uint64_t data_ = 0, held_ = 0;
  std::vector<TensorInfo> tensors_;
  std::vector<Span> spans_;
};

}  // namespace

OpenedSafetensors open_safetensors_file(const std::filesystem::path& path) {
  const auto file = std::make_shared<const RandomFile>(path);
  Header header(*file);
  return {header.tensors(),
          std::make_unique<SafetensorsStorages>(file, header.data(), header.spans())};
}

}  // namespace tarflow::checkpoint
