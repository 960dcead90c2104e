#include "framework/checkpoint/pickle_rebuild.h"

#include <fmt/format.h>

#include <utility>

namespace tarflow::checkpoint {
namespace {

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Malformed{fmt::format(format, std::forward<Args>(args)...)};
}

int64_t count(const Value& value, const char* what) {
  if (value.kind != Kind::kInt) fail("{} is no integer", what);
  if (value.number < 0) fail("{} is {}", what, value.number);
  return value.number;
}

std::vector<int64_t> counts(const Pickle& pickle, const Value& value, const char* what) {
  if (value.kind != Kind::kTuple && value.kind != Kind::kList) fail("{} is no tuple", what);
  const std::vector<ValueId>& items = pickle.items(value);
  if (items.size() > kMaxDimensions) fail("a tensor of {} dimensions", items.size());
  std::vector<int64_t> numbers;
  for (const ValueId id : items) numbers.push_back(count(pickle.value(id), what));
  return numbers;
}

// Metadata holds the conjugate and negative bits, which change the values.
void check_metadata(const Pickle& pickle, const Value& metadata) {
  if (metadata.kind == Kind::kNone) return;
  if (metadata.kind == Kind::kDict && pickle.items(metadata).empty()) return;
  fail("a tensor with metadata (a conjugate or negative view)");
}

std::string key_of(const Pickle& pickle, const Value& value) {
  if (value.kind == Kind::kInt) return fmt::to_string(value.number);
  if (value.kind != Kind::kText) fail("a storage without a key");
  if (value.index > kMaxNameBytes) fail("a storage's key of {} bytes", value.index);
  return std::string(pickle.text(value));
}

}  // namespace

std::optional<uint32_t> find_global(std::string_view module, std::string_view name) {
  struct Known {
    std::string_view module, name;
    GlobalId id;
  };
  static constexpr Known kKnown[] = {
      {"collections", "OrderedDict", kOrderedDict},
      {"torch._utils", "_rebuild_tensor", kRebuildTensor},
      {"torch._utils", "_rebuild_tensor_v2", kRebuildTensorV2},
      {"torch._utils", "_rebuild_tensor_v3", kRebuildTensorV3},
      {"torch._utils", "_rebuild_parameter", kRebuildParameter},
      {"torch", "Size", kSize},
      {"torch.storage", "UntypedStorage", kUntypedStorage},
  };
  for (const Known& known : kKnown) {
    if (known.module == module && known.name == name) return known.id;
  }
  if (module != "torch") return std::nullopt;
  if (const auto dtype = dtype_from_storage_class(name)) {
    return kFirstStorageClass + static_cast<uint32_t>(*dtype);
  }
  if (const auto dtype = dtype_from_name(name)) return kFirstDType + static_cast<uint32_t>(*dtype);
  return std::nullopt;
}

// (storage, offset, size, stride); _v2 adds requires_grad, hooks and optional metadata; _v3, for an
// untyped storage, has the dtype before the metadata.
TensorRef rebuild_tensor(const Pickle& pickle, uint32_t callee,
                         const std::vector<ValueId>& arguments) {
  const size_t least = callee == kRebuildTensor ? 4 : callee == kRebuildTensorV2 ? 6 : 7;
  const size_t most = callee == kRebuildTensor ? 4 : least + 1;
  if (arguments.size() < least || arguments.size() > most) {
    fail("a tensor of {} arguments", arguments.size());
  }
  const auto argument = [&](size_t i) -> const Value& { return pickle.value(arguments[i]); };
  if (argument(0).kind != Kind::kStorage) fail("a tensor of no storage");
  TensorRef tensor;
  tensor.storage = argument(0).index;
  const StorageRef& storage = pickle.storages[tensor.storage];
  tensor.dtype = storage.dtype;
  tensor.offset = count(argument(1), "the offset in the storage");
  tensor.shape = counts(pickle, argument(2), "a tensor's size");
  tensor.strides = counts(pickle, argument(3), "a tensor's stride");
  if (tensor.shape.size() != tensor.strides.size()) fail("a tensor of unequal sizes and strides");
  if (callee == kRebuildTensorV3) {
    if (argument(6).kind != Kind::kGlobal || argument(6).index < kFirstDType)
      fail("a tensor of no dtype");
    tensor.dtype = static_cast<DType>(argument(6).index - kFirstDType);
  }
  if (storage.untyped != (callee == kRebuildTensorV3))
    fail("a dtype both in a tensor and its storage");
  if (arguments.size() == most && callee != kRebuildTensor)
    check_metadata(pickle, argument(most - 1));
  return tensor;
}

// ('storage', class, key, location, elements); the legacy format adds None or (key, offset,
// elements) of a view. The location, cpu or cuda:0, does not change the bytes.
StorageRef storage_from_persistent_id(const Pickle& pickle, const Value& id) {
  if (id.kind != Kind::kTuple) fail("a persistent id that is no tuple");
  const std::vector<ValueId>& items = pickle.items(id);
  if (items.size() != 5 && items.size() != 6) fail("a persistent id of {} items", items.size());
  const auto item = [&](size_t i) -> const Value& { return pickle.value(items[i]); };
  if (item(0).kind != Kind::kText || pickle.text(item(0)) != "storage")
    fail("a persistent id of no storage");
  const Value& type = item(1);
  StorageRef storage;
  if (type.kind == Kind::kGlobal && type.index == kUntypedStorage) {
    storage.untyped = true;
  } else if (type.kind == Kind::kGlobal && type.index >= kFirstStorageClass &&
             type.index < kFirstDType) {
    storage.dtype = static_cast<DType>(type.index - kFirstStorageClass);
  } else {
    fail("a storage of no class");
  }
  storage.key = key_of(pickle, item(2));
  storage.elements = storage.view_elements = count(item(4), "a storage's length");
  if (items.size() == 6 && item(5).kind != Kind::kNone) {
    const Value& view = item(5);
    if (view.kind != Kind::kTuple || pickle.items(view).size() != 3)
      fail("a storage's view is no triple");
    storage.view_offset = count(pickle.value(pickle.items(view)[1]), "a view's offset");
    storage.view_elements = count(pickle.value(pickle.items(view)[2]), "a view's length");
  }
  return storage;
}

}  // namespace tarflow::checkpoint
