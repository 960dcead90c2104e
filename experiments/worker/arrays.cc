#include "experiments/worker/arrays.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "framework/core/error.h"

namespace tarflow::experiments {
namespace {

constexpr const char* kNameless = "values";

record::ArrayType array_type(const at::Tensor& tensor, const std::string& path) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return record::ArrayType::kFloat32;
    case at::kDouble:
      return record::ArrayType::kFloat64;
    case at::kLong:
      return record::ArrayType::kInt64;
    case at::kByte:
      return record::ArrayType::kUInt8;
    default:
      throw Error(fmt::format("dataset {} has a type that records do not hold", path));
  }
}

// `pattern` with its parts in angle brackets replaced; the name that stands for <point>, ""
// without.
std::pair<std::string, std::string> filled(const std::string& pattern,
                                           const std::vector<std::string>& names) {
  std::string path, point;
  size_t next = 0, at = 0;
  for (size_t open; (open = pattern.find('<', at)) != std::string::npos;) {
    const size_t close = pattern.find('>', open);
    const std::string& name = names.at(next++);
    if (pattern.substr(open, close + 1 - open) == "<point>") point = name;
    path += pattern.substr(at, open - at) + name;
    at = close + 1;
  }
  if (next != names.size()) throw std::logic_error("too many names for " + pattern);
  return {path + pattern.substr(at), point};
}

}  // namespace

record::Array to_array(std::string path, const at::Tensor& tensor, std::string unit,
                       std::string meaning) {
  record::Array array;
  const at::Tensor values = tensor.detach().cpu().contiguous();
  array.type = array_type(values, path);
  array.path = std::move(path);
  array.shape.assign(values.sizes().begin(), values.sizes().end());
  array.data.resize(values.nbytes());
  if (!array.data.empty())
    std::memcpy(array.data.data(), values.const_data_ptr(), array.data.size());
  array.unit = std::move(unit);
  array.meaning = std::move(meaning);
  return array;
}

at::Tensor to_tensor(const record::Array& array) {
  const auto copied = [&](at::ScalarType type, const void* data, size_t bytes) {
    at::Tensor tensor = at::empty(array.shape, type);
    if (tensor.nbytes() != bytes)
      throw Error(fmt::format("the array `{}` does not fill its shape", array.path));
    if (bytes > 0) std::memcpy(tensor.mutable_data_ptr(), data, bytes);
    return tensor;
  };
  if (array.type == record::ArrayType::kFloat32)
    return copied(at::kFloat, array.data.data(), array.data.size());
  if (array.type == record::ArrayType::kInt64)
    return copied(at::kLong, array.data.data(), array.data.size());
  if (array.type == record::ArrayType::kFloat64)
    return copied(at::kDouble, array.data.data(), array.data.size());
  const std::vector<double> values = record::to_doubles(array);
  return copied(at::kDouble, values.data(), values.size() * sizeof(double));
}

record::Array array_values(const at::Tensor& tensor) { return to_array(kNameless, tensor, "", ""); }

record::Array array_values(const std::vector<double>& values) {
  return record::make_array(kNameless, {static_cast<int64_t>(values.size())}, values, "", "");
}

record::Array array_values(const std::vector<int64_t>& values, std::vector<int64_t> shape) {
  if (shape.empty()) shape = {static_cast<int64_t>(values.size())};
  return record::make_array(kNameless, std::move(shape), values, "", "");
}

record::Array array_values(std::vector<std::string> values) {
  record::Array array;
  array.type = record::ArrayType::kString;
  array.shape = {static_cast<int64_t>(values.size())};
  array.strings = std::move(values);
  return array;
}

ArrayMap::ArrayMap(std::vector<record::Array> arrays) {
  for (record::Array& array : arrays) {
    std::string path = array.path;
    arrays_.emplace(std::move(path), std::move(array));
  }
}

const record::Array& ArrayMap::at(const std::string& path) const {
  const auto found = arrays_.find(path);
  if (found == arrays_.end()) throw Error(fmt::format("there is no array `{}`", path));
  return found->second;
}

double ArrayMap::number(const std::string& path) const {
  const std::vector<double> values = record::to_doubles(at(path));
  if (values.size() != 1) throw Error(fmt::format("the array `{}` is not one number", path));
  return values.front();
}

const std::string& ArrayMap::text(const std::string& path) const {
  const record::Array& array = at(path);
  if (array.strings.size() != 1) throw Error(fmt::format("the array `{}` is not one text", path));
  return array.strings.front();
}

record::Array declared_array(const ExperimentSchema& schema, const std::string& path,
                             const std::vector<std::string>& names, record::Array values) {
  const auto info = std::find_if(schema.arrays.begin(), schema.arrays.end(),
                                 [&](const ArrayInfo& array) { return array.path == path; });
  if (info == schema.arrays.end())
    throw std::logic_error(fmt::format("{} declares no array {}", schema.name, path));
  if (info->type != values.type || info->axes.size() != values.shape.size()) {
    throw std::logic_error(fmt::format("{} declares {} as {} with {} axes", schema.name, path,
                                       to_string(info->type), info->axes.size()));
  }
  std::tie(values.path, values.point) = filled(path, names);
  values.unit = info->unit;
  values.timing = info->timing;
  values.axes = info->axes;
  values.meaning = info->meaning;
  if (!info->axes.empty()) values.meaning += fmt::format("; {}", fmt::join(info->axes, ", "));
  return values;
}

}  // namespace tarflow::experiments
