// The few Python globals that a tensor file names, understood instead of called. Used by the
// interpreter alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framework/checkpoint/pickle.h"

namespace tarflow::checkpoint {

// What makes a pickle malformed; the interpreter adds the file and the offset.
struct Malformed {
  std::string what;
};

// Value::index of a Kind::kGlobal. Storage classes and dtypes follow, by DType.
enum GlobalId : uint32_t {
  kOrderedDict,
  kRebuildTensor,
  kRebuildTensorV2,
  kRebuildTensorV3,
  kRebuildParameter,
  kSize,
  kUntypedStorage,
  kEncode,  // protocols 0 to 2 write bytes as a call of it
  kBytes,
  kByteArray,
  kSetType,
  kFrozenSetType,
  kComplex,
  kCounter,
  kDevice,
  kFirstStorageClass = 100,
  kFirstDType = 200,
};

inline constexpr size_t kMaxArguments = 8;  // of any of these

std::optional<uint32_t> find_global(std::string_view module, std::string_view name);

// The tensor that a call of one of the three kRebuildTensor globals makes. Throws Malformed.
TensorRef rebuild_tensor(const Pickle& pickle, uint32_t callee,
                         const std::vector<ValueId>& arguments);

// A value that is there already, or a container to be made.
struct NewContainer {
  Kind kind;
  std::vector<ValueId> items;
};
using Made = std::variant<ValueId, NewContainer>;

// What a call of OrderedDict or of a global from kEncode on makes. Such values stand beside a model
// and are skipped, so a number or a device is as good as a tuple of its arguments. Throws Malformed
// for a global that is not called in such files.
Made make_plain(const Pickle& pickle, uint32_t callee, const std::vector<ValueId>& arguments);

// The storage that a persistent id names. Throws Malformed.
StorageRef storage_from_persistent_id(const Pickle& pickle, const Value& id);

}  // namespace tarflow::checkpoint
