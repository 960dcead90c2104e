// Writing checkpoints in the zip format that PyTorch reads, torch.load(weights_only=True) included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "framework/checkpoint/dtype.h"

namespace tarflow::checkpoint {

// A tensor to write, row-major. `bytes` is called when its turn has come and returns elements *
// item_size bytes, so that no more than one tensor is in memory at a time.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  std::function<std::vector<std::byte>()> bytes;
};

// Writes an OrderedDict of the tensors, aside and then renamed, each in a storage of its own that
// begins at a multiple of 64 bytes. The same tensors give the same file, bit for bit. Throws Error,
// also for a dtype without a storage class (uint16, uint32, uint64), a negative or overflowing
// shape, a name twice, or a `bytes` of the wrong length; what `bytes` throws is passed on.
void write_checkpoint(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors);

}  // namespace tarflow::checkpoint
