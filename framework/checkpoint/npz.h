// Arrays of NumPy's .npz files: a zip archive of .npy files, stored (np.savez) or deflated
// (np.savez_compressed). Nothing in them is executed: arrays of Python objects, which are pickles,
// are refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

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

}  // namespace tarflow::checkpoint
