#include "framework/checkpoint/dtype.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensors are read as they lie in the file");

struct Row {
  DType dtype;
  std::string_view name;
  std::string_view storage;
  size_t size;
};

// In the order of DType.
constexpr std::array kRows = {
    Row{DType::kFloat32, "float32", "FloatStorage", 4},
    Row{DType::kBFloat16, "bfloat16", "BFloat16Storage", 2},
    Row{DType::kFloat16, "float16", "HalfStorage", 2},
    Row{DType::kFloat64, "float64", "DoubleStorage", 8},
    Row{DType::kInt64, "int64", "LongStorage", 8},
    Row{DType::kInt32, "int32", "IntStorage", 4},
    Row{DType::kInt16, "int16", "ShortStorage", 2},
    Row{DType::kInt8, "int8", "CharStorage", 1},
    Row{DType::kUInt64, "uint64", "", 8},
    Row{DType::kUInt32, "uint32", "", 4},
    Row{DType::kUInt16, "uint16", "", 2},
    Row{DType::kUInt8, "uint8", "ByteStorage", 1},
    Row{DType::kBool, "bool", "BoolStorage", 1},
};

const Row& row(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }

// Calls body(Raw{}, decode) where Raw is how an element is stored and decode turns it into a
// number.
template <typename Body>
void with_element(DType dtype, const Body& body) {
  const auto same = [](auto value) { return value; };
  switch (dtype) {
    case DType::kFloat32:
      return body(float{}, same);
    case DType::kBFloat16:
      return body(uint16_t{}, float_from_bfloat16);
    case DType::kFloat16:
      return body(uint16_t{}, float_from_float16);
    case DType::kFloat64:
      return body(double{}, same);
    case DType::kInt64:
      return body(int64_t{}, same);
    case DType::kInt32:
      return body(int32_t{}, same);
    case DType::kInt16:
      return body(int16_t{}, same);
    case DType::kInt8:
      return body(int8_t{}, same);
    case DType::kUInt64:
      return body(uint64_t{}, same);
    case DType::kUInt32:
      return body(uint32_t{}, same);
    case DType::kUInt16:
      return body(uint16_t{}, same);
    case DType::kUInt8:
      return body(uint8_t{}, same);
    case DType::kBool:
      return body(uint8_t{}, [](uint8_t value) { return value != 0; });
  }
}

template <typename To>
std::vector<To> convert(std::span<const std::byte> bytes, DType dtype) {
  std::vector<To> values(bytes.size() / item_size(dtype));
  with_element(dtype, [&](auto raw, const auto& decode) {
    for (size_t i = 0; i < values.size(); ++i) {
      std::memcpy(&raw, bytes.data() + i * sizeof raw, sizeof raw);
      values[i] = static_cast<To>(decode(raw));
    }
  });
  return values;
}

}  // namespace

size_t item_size(DType dtype) { return row(dtype).size; }
std::string to_string(DType dtype) { return std::string(row(dtype).name); }
bool is_floating(DType dtype) { return dtype <= DType::kFloat64; }
std::string_view storage_class(DType dtype) { return row(dtype).storage; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

std::optional<DType> dtype_from_storage_class(std::string_view name) {
  for (const Row& row : kRows) {
    if (!row.storage.empty() && row.storage == name) return row.dtype;
  }
  return std::nullopt;
}

uint16_t bfloat16_from_float(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);  // keep it a quiet NaN
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float float_from_bfloat16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

float float_from_float16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits} >> 15 << 31;
  const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | fraction << 13);
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24, exact in float
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

std::vector<float> to_f32(std::span<const std::byte> bytes, DType dtype) {
  return convert<float>(bytes, dtype);
}

std::vector<double> to_f64(std::span<const std::byte> bytes, DType dtype) {
  return convert<double>(bytes, dtype);
}

std::vector<int64_t> to_i64(std::span<const std::byte> bytes, DType dtype) {
  if (is_floating(dtype)) throw Error(fmt::format("{} is not an integer type", to_string(dtype)));
  std::vector<int64_t> values = convert<int64_t>(bytes, dtype);
  if (dtype == DType::kUInt64) {
    for (const int64_t value : values) {
      if (value < 0)
        throw Error(fmt::format("{} does not fit int64", static_cast<uint64_t>(value)));
    }
  }
  return values;
}

}  // namespace tarflow::checkpoint
