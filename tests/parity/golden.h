// Reference outputs of the published code: tests/parity/golden/*.h5, and the large one beside the
// checkout.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace tarflow::parity {

class Golden {
 public:
  explicit Golden(const std::filesystem::path& file);
  ~Golden();
  Golden(const Golden&) = delete;
  Golden& operator=(const Golden&) = delete;

  bool has(const std::string& path) const;
  at::Tensor tensor(const std::string& path) const;  // float32, float64 or int64
  std::vector<std::string> strings(const std::string& path) const;
  std::vector<std::string> children(const std::string& group) const;  // sorted
  double number(const std::string& object, const std::string& attribute) const;
  std::vector<double> numbers(const std::string& object, const std::string& attribute) const;
  std::string text(const std::string& object, const std::string& attribute) const;
  std::vector<int64_t> integers(const std::string& object, const std::string& attribute) const;

 private:
  int64_t file_;
};

}  // namespace tarflow::parity
