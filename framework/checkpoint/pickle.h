// A pickle interpreter for tensors and plain containers. Nothing is ever executed: opcodes and
// globals that PyTorch's tensor files do not need are refused by name and byte offset.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/checkpoint/dtype.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {

// Far above what a state dict or a training checkpoint holds; hostile files end here instead of
// filling the memory.
inline constexpr size_t kMaxPickleBytes = size_t{64} << 20;
inline constexpr size_t kMaxPickleValues = size_t{1} << 20;
inline constexpr size_t kMaxTensors = size_t{1} << 16;
inline constexpr size_t kMaxDimensions = 64;
inline constexpr size_t kMaxNameBytes = 1024;

using ValueId = uint32_t;

enum class Kind : uint8_t {
  kNone,
  kBool,
  kInt,
  kBigInt,  // beyond int64; only its bytes are kept
  kFloat,
  kText,  // str, bytes or bytearray
  kTuple,
  kList,
  kDict,  // dict or OrderedDict; items are key, value, key, value, ...
  kSet,
  kGlobal,  // a class, function or dtype of the few that are known
  kStorage,
  kTensor,
};

// 16 bytes, trivially destroyed, so that no nesting of containers can overflow the stack.
struct Value {
  Kind kind = Kind::kNone;
  uint32_t index = 0;  // of the container, storage, tensor or global; bytes of a text
  int64_t number = 0;  // the integer; the float's bits; the offset of a text
};

// A storage as a persistent id names it. Counts are in elements of `dtype`, bytes when `untyped`.
struct StorageRef {
  std::string key;
  DType dtype = DType::kUInt8;
  bool untyped = false;
  int64_t elements = 0;     // of the whole storage
  int64_t view_offset = 0;  // a view of it (legacy format); otherwise 0 and `elements`
  int64_t view_elements = 0;
};

// A tensor as it was saved; nothing is checked against the storage yet.
struct TensorRef {
  uint32_t storage = 0;  // index into Pickle::storages
  DType dtype = DType::kFloat32;
  int64_t offset = 0;                   // elements
  std::vector<int64_t> shape, strides;  // of one length, no negative entries
};

// What one pickle holds. Texts point into the bytes that were interpreted, which must outlive it.
struct Pickle {
  std::string_view data;
  std::vector<Value> values;
  std::vector<std::vector<ValueId>> containers;
  std::vector<StorageRef> storages;
  std::vector<TensorRef> tensors;
  ValueId root = 0;
  size_t end = 0;  // offset in `data` after STOP

  const Value& value(ValueId id) const { return values[id]; }
  const std::vector<ValueId>& items(const Value& value) const { return containers[value.index]; }
  std::string_view text(const Value& value) const {
    return data.substr(static_cast<size_t>(value.number), value.index);
  }
};

// Thrown when the bytes end before the pickle does.
class TruncatedPickle : public Error {
 public:
  using Error::Error;
};

// Interprets the pickle at data[begin...]. `origin` names it in errors ("model.pth", "data.pkl of
// model.pth"). Throws Error with the name and byte offset (in `data`) of what is refused.
Pickle parse_pickle(std::string_view data, size_t begin, const std::string& origin);

// Text from a file made fit for a message: bytes that do not print are written \xNN, and it is cut
// after `longest` characters.
std::string printable(std::string_view text, size_t longest = 200);

}  // namespace tarflow::checkpoint
