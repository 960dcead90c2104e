// The few Python globals that a tensor file names, understood instead of called. Used by the
// interpreter alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
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
  kFirstStorageClass = 100,
  kFirstDType = 200,
};

inline constexpr size_t kMaxArguments = 8;  // of any of these

std::optional<uint32_t> find_global(std::string_view module, std::string_view name);

// The tensor that a call of one of the three kRebuildTensor globals makes. Throws Malformed.
TensorRef rebuild_tensor(const Pickle& pickle, uint32_t callee,
                         const std::vector<ValueId>& arguments);

// The storage that a persistent id names. Throws Malformed.
StorageRef storage_from_persistent_id(const Pickle& pickle, const Value& id);

}  // namespace tarflow::checkpoint
