#include "framework/checkpoint/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <optional>
#include <utility>

#include "framework/checkpoint/storage.h"
#include "framework/core/error.h"
#include "framework/core/file_kind.h"

namespace tarflow::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxDepth = 64;  // of nested containers
constexpr uint64_t kExpandedBytes = 64
                                    << 20;  // what a view that repeats its storage may always take
constexpr const char* kDamaged = "the file is cut short or damaged: copy or download it again";

// a * b + c, nothing beyond int64.
std::optional<int64_t> multiply_add(int64_t a, int64_t b, int64_t c) {
  int64_t product, sum;
  if (__builtin_mul_overflow(a, b, &product) || __builtin_add_overflow(product, c, &sum)) {
    return std::nullopt;
  }
  return sum;
}

// Elements of a shape; nothing beyond int64.
std::optional<int64_t> count_elements(const std::vector<int64_t>& shape) {
  if (std::ranges::find(shape, 0) != shape.end()) return 0;
  std::optional<int64_t> count = 1;
  for (const int64_t side : shape) {
    if (count) count = multiply_add(*count, side, 0);
  }
  return count;
}

// The largest index into the storage that a view with elements reaches; nothing beyond int64.
std::optional<int64_t> last_element(const TensorRef& tensor) {
  std::optional<int64_t> last = tensor.offset;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (last) last = multiply_add(tensor.shape[i] - 1, tensor.strides[i], *last);
  }
  return last;
}

// Turns a tensor of the pickle into an index entry, checked against what its storage holds.
TensorInfo checked_tensor(const OpenedFile& file, const TensorRef& tensor, const std::string& name,
                          const fs::path& path) {
  const StorageRef& storage = file.pickle.storages[tensor.storage];
  const auto fail = [&](const std::string& why) {
    throw Error(fmt::format("{}: the tensor {} {}", path.string(), name, why), kDamaged);
  };
  const auto elements = count_elements(tensor.shape);
  const auto item = static_cast<int64_t>(item_size(tensor.dtype));
  if (!elements || !multiply_add(*elements, item, 0)) {
    fail(fmt::format("has an impossible shape {}", shape_str(tensor.shape)));
  }
  // Counts of an untyped storage are bytes.
  const int64_t unit = storage.untyped ? 1 : item;
  const auto claimed = multiply_add(storage.elements, unit, 0);
  const uint64_t held = file.storages->size(storage.key);
  if (!claimed || static_cast<uint64_t>(*claimed) > held) {
    fail(fmt::format("has a storage of {} elements, of which the file holds {} bytes",
                     storage.elements, held));
  }
  if (storage.view_offset > storage.elements ||
      storage.view_elements > storage.elements - storage.view_offset) {
    fail(fmt::format("is a view of elements {} + {} of a storage of {}", storage.view_offset,
                     storage.view_elements, storage.elements));
  }
  const int64_t capacity = storage.untyped ? storage.view_elements / item : storage.view_elements;
  const auto last = last_element(tensor);
  if (*elements > 0 && (!last || *last >= capacity)) {
    fail(fmt::format(
        "of shape {}, strides {} and offset {} reaches outside of its storage of {} elements",
        shape_str(tensor.shape), shape_str(tensor.strides), tensor.offset, capacity));
  }
  const auto offset = multiply_add(storage.view_offset, 1, tensor.offset);
  if (!offset) fail("has an impossible offset");
  return {name, tensor.dtype, tensor.shape, tensor.strides, *offset, storage.key};
}

// Walks the containers of a pickle and names the tensors in them.
class Flattener {
 public:
  Flattener(const OpenedFile& file, const fs::path& path) : file_(file), path_(path) {}

  std::vector<TensorInfo> run() {
    visit(file_.pickle.root, "", 0);
    return std::move(tensors_);
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(fmt::format("{}: {}", path_.string(), why), kDamaged);
  }

  // Containers may hold each other, and one in many places: depth, steps and names are bounded.
  void visit(ValueId id, const std::string& name, size_t depth) {
    const Value& value = file_.pickle.value(id);
    if (++steps_ > kMaxPickleValues) fail(fmt::format("more than {} values", kMaxPickleValues));
    if (depth > kMaxDepth) fail(fmt::format("containers nested deeper than {}", kMaxDepth));
    if (value.kind == Kind::kTensor) {
      if (tensors_.size() >= kMaxTensors) fail(fmt::format("more than {} tensors", kMaxTensors));
      const TensorRef& tensor = file_.pickle.tensors[value.index];
      tensors_.push_back(checked_tensor(file_, tensor, name.empty() ? "tensor" : name, path_));
    } else if (value.kind == Kind::kDict) {
      const std::vector<ValueId>& items = file_.pickle.items(value);
      for (size_t i = 0; i < items.size(); i += 2) {
        visit(items[i + 1], join(name, key(file_.pickle.value(items[i]))), depth + 1);
      }
    } else if (value.kind == Kind::kList || value.kind == Kind::kTuple) {
      const std::vector<ValueId>& items = file_.pickle.items(value);
      for (size_t i = 0; i < items.size(); ++i)
        visit(items[i], join(name, fmt::to_string(i)), depth + 1);
    }
  }

  std::string key(const Value& value) const {
    switch (value.kind) {
      case Kind::kText:
        return printable(file_.pickle.text(value));
      case Kind::kInt:
      case Kind::kBool:
        return fmt::to_string(value.number);
      default:
        return "?";
    }
  }

  std::string join(const std::string& name, const std::string& key) const {
    const std::string joined = name.empty() ? key : name + "." + key;
    if (joined.size() > kMaxNameBytes) fail(fmt::format("a name of {} bytes", joined.size()));
    return joined;
  }

  const OpenedFile& file_;
  const fs::path& path_;
  std::vector<TensorInfo> tensors_;
  size_t steps_ = 0;
};

OpenedFile open_by_content(const fs::path& path) {
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) {
    throw Error(
        fmt::format("cannot read {}: {}", path.string(),
                    fs::exists(path, failed) ? "it is no regular file" : "there is no such file"));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  std::string head(512, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  if (head.starts_with("PK")) return open_zip_file(path);
  // A legacy file begins with PROTO, or in protocol 1 with the magic number as text.
  if (head.starts_with('\x80') || head.starts_with("L1195470371")) return open_legacy_file(path);
  if (head.substr(std::min<size_t>(257, head.size())).starts_with("ustar")) {
    throw Error(fmt::format("{} is in the tar format of PyTorch before 0.1.10", path.string()),
                "load and save it again with a newer PyTorch");
  }
  if (const ContentKind kind = kind_of(head, fs::file_size(path, failed)); !kind.name.empty())
    throw wrong_kind(path, "a PyTorch checkpoint", "name a file that torch.save wrote");
  throw Error(
      fmt::format("{} is no PyTorch checkpoint: it begins with `{}`", path.string(),
                  printable(head.substr(0, 16))),
      "if it was downloaded, the download may have failed or left a placeholder: get it again");
}

// Copies a strided view into contiguous bytes.
void gather(const std::byte* storage, const TensorInfo& tensor, size_t item,
            std::vector<std::byte>& out) {
  const size_t dimensions = tensor.shape.size();
  const int64_t inner = dimensions ? tensor.shape.back() : 1;
  const int64_t step = dimensions ? tensor.strides.back() : 0;
  std::vector<int64_t> index(dimensions, 0);
  std::byte* to = out.data();
  std::byte* const end = to + out.size();
  int64_t row = tensor.storage_offset;  // of the element at index, whose last entry stays 0
  while (to != end) {
    const std::byte* from = storage + static_cast<size_t>(row) * item;
    if (step == 1) {
      std::memcpy(to, from, static_cast<size_t>(inner) * item);
      to += static_cast<size_t>(inner) * item;
    } else {
      for (int64_t i = 0; i < inner; ++i, to += item) {
        std::memcpy(to, from + static_cast<size_t>(i * step) * item, item);
      }
    }
    for (size_t axis = dimensions; axis-- > 1;) {  // the next row, like an odometer
      if (tensor.shape[axis - 1] == 1) continue;   // whose stride may be any number
      row += tensor.strides[axis - 1];
      if (++index[axis - 1] < tensor.shape[axis - 1]) break;
      row -= tensor.shape[axis - 1] * tensor.strides[axis - 1];
      index[axis - 1] = 0;
    }
  }
}

}  // namespace

// The open file, and the last storage that several tensors share, so that a file of many views of
// one storage is not read once a view.
struct Checkpoint::Source {
  fs::path path;
  uint64_t file_bytes = 0;
  std::unique_ptr<StorageReader> storages;
  std::map<std::string, int> uses;
  std::string shared_key;
  std::vector<std::byte> shared;
};

int64_t TensorInfo::elements() const { return count_elements(shape).value_or(0); }

bool TensorInfo::contiguous() const {
  if (elements() == 0) return true;
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

std::string shape_str(const std::vector<int64_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

Checkpoint Checkpoint::open(const fs::path& path) {
  OpenedFile file = open_by_content(path);
  Checkpoint checkpoint;
  checkpoint.tensors_ = Flattener(file, path).run();
  checkpoint.source_ = std::make_shared<Source>();
  checkpoint.source_->path = path;
  checkpoint.source_->file_bytes = fs::file_size(path);
  checkpoint.source_->storages = std::move(file.storages);
  for (const TensorInfo& tensor : checkpoint.tensors_)
    ++checkpoint.source_->uses[tensor.storage_key];
  checkpoint.index_by_name();
  return checkpoint;
}

const fs::path& Checkpoint::path() const { return source_->path; }

void Checkpoint::index_by_name() {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!by_name_.emplace(tensors_[i].name, i).second) {
      throw Error(
          fmt::format("{}: two tensors are named {}{}", path().string(), prefix_, tensors_[i].name),
          kDamaged);
    }
  }
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

const TensorInfo& Checkpoint::at(std::string_view name) const {
  const TensorInfo* found = find(name);
  if (found) return *found;
  std::vector<std::string> names;
  for (const TensorInfo& tensor : tensors_) names.push_back(tensor.name);
  const std::string near = nearest(name, names);
  throw Error(fmt::format("{} has no tensor {}{}", path().string(), prefix_, name),
              near.empty() ? "" : fmt::format("did you mean `{}{}`?", prefix_, near));
}

std::vector<std::byte> Checkpoint::read_bytes(std::string_view name) const {
  const TensorInfo& tensor = at(name);
  const uint64_t bytes = static_cast<uint64_t>(tensor.elements()) * item_size(tensor.dtype);
  if (bytes == 0) return {};
  // Only a view that repeats elements (a stride of 0, overlapping rows) has more than the file
  // holds.
  if (const uint64_t held = source_->storages->size(tensor.storage_key);
      bytes > held && bytes > std::max(source_->file_bytes, kExpandedBytes)) {
    throw Error(fmt::format("{}: the tensor {}{} repeats {} bytes into {}", path().string(),
                            prefix_, name, held, bytes),
                "save it as tensor.contiguous()");
  }
  try {
    return load(tensor, bytes);
  } catch (const std::bad_alloc&) {
    throw Error(fmt::format("{}: no memory for the {} bytes of the tensor {}{}", path().string(),
                            bytes, prefix_, name));
  }
}

std::vector<std::byte> Checkpoint::load(const TensorInfo& tensor, uint64_t bytes) const {
  const bool shared = source_->uses[tensor.storage_key] > 1;
  std::vector<std::byte> own;
  if (!shared) {
    own = source_->storages->read(tensor.storage_key);
  } else if (source_->shared_key != tensor.storage_key || source_->shared.empty()) {
    source_->shared.clear();
    source_->shared = source_->storages->read(tensor.storage_key);
    source_->shared_key = tensor.storage_key;
  }
  if (!shared && tensor.contiguous() && tensor.storage_offset == 0) {
    own.resize(bytes);
    return own;
  }
  std::vector<std::byte> out(bytes);
  gather((shared ? source_->shared : own).data(), tensor, item_size(tensor.dtype), out);
  return out;
}

std::vector<float> Checkpoint::read_f32(std::string_view name) const {
  return to_f32(read_bytes(name), at(name).dtype);
}

std::vector<double> Checkpoint::read_f64(std::string_view name) const {
  return to_f64(read_bytes(name), at(name).dtype);
}

std::vector<int64_t> Checkpoint::read_i64(std::string_view name) const {
  try {
    return to_i64(read_bytes(name), at(name).dtype);
  } catch (const Error& failure) {
    throw Error(
        fmt::format("{}: the tensor {}{}: {}", path().string(), prefix_, name, failure.what()));
  }
}

Checkpoint Checkpoint::with_prefix_stripped(std::string_view prefix) const {
  Checkpoint part;
  part.source_ = source_;
  part.prefix_ = prefix_ + std::string(prefix);
  for (const TensorInfo& tensor : tensors_) {
    if (!tensor.name.starts_with(prefix) || tensor.name.size() == prefix.size()) continue;
    part.tensors_.push_back(tensor);
    part.tensors_.back().name.erase(0, prefix.size());
  }
  if (part.tensors_.empty()) {
    throw Error(fmt::format("{} has no tensors below {}", path().string(), part.prefix_));
  }
  part.index_by_name();
  return part;
}

}  // namespace tarflow::checkpoint
