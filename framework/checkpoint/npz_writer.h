// Writing .npz files as np.savez does: a zip archive of .npy files that are not compressed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "framework/checkpoint/dtype.h"
#include "framework/checkpoint/zip_writer.h"

namespace tarflow::checkpoint {

// An array to write, row-major and little-endian. `open` as in ZipEntryToWrite, over the elements,
// so that the array need not fit into memory.
struct NpyToWrite {
  std::string name;  // without ".npy"
  DType dtype = DType::kUInt8;
  std::vector<int64_t> shape;
  std::function<FillBytes()> open;
};

// Written aside and renamed; the same arrays give the same file. Throws Error, also for a dtype
// that NumPy lacks (bfloat16) or a negative or overflowing shape.
void write_npz(const std::filesystem::path& path, const std::vector<NpyToWrite>& arrays);

}  // namespace tarflow::checkpoint
