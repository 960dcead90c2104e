// Tensors and lists as the arrays of a record.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/record/record.h"

namespace tarflow::experiments {

// float32 or int64 or uint8 or float64 tensors of any device as a dataset.
record::Array to_array(std::string path, const at::Tensor& tensor, std::string unit,
                       std::string meaning);
// The way back, on the CPU: float32 and int64 as they are, other numbers as float64.
at::Tensor to_tensor(const record::Array& array);

// What a record holds, without a name: the declaration has that and all there is to say about it.
record::Array array_values(const at::Tensor& tensor);
record::Array array_values(const std::vector<double>& values);
record::Array array_values(const std::vector<int64_t>& values, std::vector<int64_t> shape = {});
record::Array array_values(std::vector<std::string> values);

// Arrays by path. Its functions throw Error for an array that is not there.
class ArrayMap {
 public:
  explicit ArrayMap(std::vector<record::Array> arrays);

  bool contains(const std::string& path) const { return arrays_.contains(path); }
  const record::Array& at(const std::string& path) const;
  at::Tensor tensor(const std::string& path) const { return to_tensor(at(path)); }
  double number(const std::string& path) const;            // the only element
  const std::string& text(const std::string& path) const;  // likewise

 private:
  std::map<std::string, record::Array> arrays_;
};

// `values` as the array that `schema` declares as `path`; `names` fill its parts in angle brackets
// in their order, and the one for <point> becomes the array's point. Throws std::logic_error when
// there is no such declaration, or it states another type or number of axes.
record::Array declared_array(const ExperimentSchema& schema, const std::string& path,
                             const std::vector<std::string>& names, record::Array values);

}  // namespace tarflow::experiments
