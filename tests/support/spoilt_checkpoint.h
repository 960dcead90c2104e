// Checkpoints of untrained models with some values replaced.
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/untrained.h"
#include "framework/checkpoint/writer.h"

namespace tarflow::checkpoint {

// The first values of some tensors.
using FirstValues = std::map<std::string, std::vector<float>>;

inline std::vector<std::byte> bytes_of(const std::vector<float>& values, DType dtype) {
  std::vector<std::byte> bytes(values.size() * item_size(dtype));
  if (dtype == DType::kFloat32) std::memcpy(bytes.data(), values.data(), bytes.size());
  if (dtype == DType::kBFloat16) {
    std::vector<uint16_t> rounded(values.size());
    std::transform(values.begin(), values.end(), rounded.begin(), bfloat16_from_float);
    std::memcpy(bytes.data(), rounded.data(), bytes.size());
  }
  return bytes;
}

// As write_untrained, seed 0.
inline void write_spoilt(const std::filesystem::path& path, const ModelShape& shape, DType dtype,
                         const FirstValues& first) {
  const std::filesystem::path whole = path.string() + ".whole";
  write_untrained(whole, shape, 0, DType::kFloat32);
  std::vector<TensorToWrite> tensors;
  {
    const Checkpoint file = Checkpoint::open(whole);
    for (const TensorInfo& tensor : file.tensors()) {
      std::vector<float> values = file.read_f32(tensor.name);
      if (const auto own = first.find(tensor.name); own != first.end())
        std::copy(own->second.begin(), own->second.end(), values.begin());
      tensors.push_back(
          {tensor.name, dtype, tensor.shape, [bytes = bytes_of(values, dtype)] { return bytes; }});
    }
  }
  write_checkpoint(path, tensors);
  std::filesystem::remove(whole);
}

}  // namespace tarflow::checkpoint
