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

// The items of a set or a dict that was given as a list, when the call has no other argument.
const std::vector<ValueId>* list_argument(const Pickle& pickle,
                                          const std::vector<ValueId>& arguments) {
  if (arguments.size() != 1 || pickle.value(arguments[0]).kind != Kind::kList) return nullptr;
  return &pickle.items(pickle.value(arguments[0]));
}

// Python 3 fills an OrderedDict afterwards; Python 2 passes a list of [key, value].
NewContainer make_ordered_dict(const Pickle& pickle, const std::vector<ValueId>& arguments) {
  const std::vector<ValueId>* list = list_argument(pickle, arguments);
  if (!list && !arguments.empty()) fail("an OrderedDict of unknown arguments");
  NewContainer made{Kind::kDict, {}};
  if (!list) return made;
  for (const ValueId id : *list) {
    const Value& pair = pickle.value(id);
    if ((pair.kind != Kind::kList && pair.kind != Kind::kTuple) || pickle.items(pair).size() != 2) {
      fail("an OrderedDict of no pairs");
    }
    made.items.insert(made.items.end(), pickle.items(pair).begin(), pickle.items(pair).end());
  }
  return made;
}

}  // namespace

Made make_plain(const Pickle& pickle, uint32_t callee, const std::vector<ValueId>& arguments) {
  const auto first_is = [&](Kind kind) {
    return !arguments.empty() && pickle.value(arguments[0]).kind == kind;
  };
  switch (callee) {
    case kOrderedDict:
      return make_ordered_dict(pickle, arguments);
    case kCounter:
      if (arguments.empty()) return NewContainer{Kind::kDict, {}};
      if (!first_is(Kind::kDict)) fail("a Counter of no dict");
      return arguments[0];
    case kEncode:
    case kBytes:
    case kByteArray:
      if (first_is(Kind::kText)) return arguments[0];
      if (!arguments.empty()) fail("bytes of no text");
      return NewContainer{Kind::kTuple, {}};
    case kSetType:
    case kFrozenSetType: {
      const std::vector<ValueId>* list = list_argument(pickle, arguments);
      if (!list && !arguments.empty()) fail("a set of no list");
      return NewContainer{Kind::kSet, list ? *list : std::vector<ValueId>()};
    }
    case kComplex:
    case kDevice:
      return NewContainer{Kind::kTuple, arguments};
    default:
      fail("a storage class or dtype is called");
  }
}

std::optional<uint32_t> find_global(std::string_view module, std::string_view name) {
  if (module == "__builtin__") module = "builtins";  // Python 2, and protocols 0 to 2
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
      {"_codecs", "encode", kEncode},
      {"builtins", "bytes", kBytes},
      {"builtins", "bytearray", kByteArray},
      {"builtins", "set", kSetType},
      {"builtins", "frozenset", kFrozenSetType},
      {"builtins", "complex", kComplex},
      {"collections", "Counter", kCounter},
      {"torch", "device", kDevice},
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
