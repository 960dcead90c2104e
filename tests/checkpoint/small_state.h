// Files with the state dict of a small TarFlow, as people save it. All tensors are zeros.
#pragma once

#include <string>
#include <vector>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/writer.h"
#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint::testing {

inline ModelShape small_shape() {
  ModelShape shape;
  shape.image_size = 8;
  shape.patch_size = 2;
  shape.channels = 64;
  shape.blocks = 2;
  shape.layers = 1;
  shape.classes = 3;
  return shape;
}

// Writes the tensors with zeros in them and opens the file.
inline Checkpoint write_state(const std::filesystem::path& file,
                              const std::vector<ExpectedTensor>& tensors,
                              DType dtype = DType::kFloat32) {
  std::vector<TensorToWrite> written;
  for (const ExpectedTensor& tensor : tensors) {
    size_t bytes = 4;
    for (const int64_t side : tensor.shape) bytes *= static_cast<size_t>(side);
    written.push_back(
        {tensor.name, dtype, tensor.shape, [bytes] { return std::vector<std::byte>(bytes); }});
  }
  write_checkpoint(file, written);
  return Checkpoint::open(file);
}

}  // namespace tarflow::checkpoint::testing
