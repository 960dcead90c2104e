// Element types of checkpoints, and conversion between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tarflow::checkpoint {

enum class DType {
  kFloat32,
  kBFloat16,
  kFloat16,
  kFloat64,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUInt64,
  kUInt32,
  kUInt16,
  kUInt8,
  kBool,
};

size_t item_size(DType dtype);       // bytes an element
std::string to_string(DType dtype);  // PyTorch's name: "bfloat16"
bool is_floating(DType dtype);
// "FloatStorage", the class PyTorch's files name the dtype by; "" for the unsigned types wider than
// a byte, which have none.
std::string_view storage_class(DType dtype);

// By PyTorch's name ("float32") or storage class ("FloatStorage"); nothing for what is not
// supported.
std::optional<DType> dtype_from_name(std::string_view name);
std::optional<DType> dtype_from_storage_class(std::string_view name);

// Round to nearest, ties to even; NaN stays NaN.
uint16_t bfloat16_from_float(float value);
float float_from_bfloat16(uint16_t bits);
float float_from_float16(uint16_t bits);

// Contiguous little-endian elements of `dtype` as float or double. float64 and wide integers are
// rounded to nearest by the float conversion.
std::vector<float> to_f32(std::span<const std::byte> bytes, DType dtype);
std::vector<double> to_f64(std::span<const std::byte> bytes, DType dtype);
// Integers and bools only. Throws Error for a floating dtype or a value beyond int64.
std::vector<int64_t> to_i64(std::span<const std::byte> bytes, DType dtype);

}  // namespace tarflow::checkpoint
