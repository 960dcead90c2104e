// Arrays of NumPy's .npz files: a zip archive of .npy files, stored (np.savez) or deflated
// (np.savez_compressed). Nothing in them is executed: arrays of Python objects, which are pickles,
// are refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/checkpoint/dtype.h"

namespace tarflow::checkpoint {

struct NpyArray {
  std::vector<int64_t> shape;  // {} for a scalar
  std::vector<double> values;  // row-major, whatever the order in the file
};

// The bytes of an .npy file of version 1, 2 or 3 with little-endian float32, float64 or integers
// of 64 bits at most. `where` names it in messages. Throws Error.
NpyArray parse_npy(std::span<const std::byte> bytes, const std::string& where);

class Npz {
 public:
  // Throws Error naming the file when it is no zip archive.
  explicit Npz(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<std::string>& names() const { return names_; }  // without ".npy"
  bool has(const std::string& name) const;
  // Throws Error naming the file, and the names it has when this is none of them.
  NpyArray read(const std::string& name) const;

 private:
  std::filesystem::path path_;
  std::vector<std::string> names_;
};

// The rows (first axis) of one array, read one at a time, so that the array need not fit into
// memory.
class NpzRows {
 public:
  // Throws Error naming file and array when the array is absent, damaged, column-major or a scalar.
  NpzRows(const std::filesystem::path& path, const std::string& name);
  ~NpzRows();
  NpzRows(NpzRows&&) noexcept;
  NpzRows& operator=(NpzRows&&) noexcept;

  const std::vector<int64_t>& shape() const;  // at least one axis
  DType dtype() const;
  size_t row_bytes() const;
  // The elements of row `row`, in the order of the array. Rows are best asked for in rising order,
  // since going back in a compressed array unpacks it again. Throws Error.
  std::vector<std::byte> read(int64_t row);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tarflow::checkpoint
