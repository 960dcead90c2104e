#include "framework/checkpoint/npz_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

constexpr size_t kHeaderAlignment = 64;  // of the elements, as NumPy aligns them

std::string descr_of(const NpyToWrite& array) {
  const size_t bytes = item_size(array.dtype);
  switch (array.dtype) {
    case DType::kFloat32:
    case DType::kFloat16:
    case DType::kFloat64:
      return fmt::format("<f{}", bytes);
    case DType::kInt64:
    case DType::kInt32:
    case DType::kInt16:
      return fmt::format("<i{}", bytes);
    case DType::kUInt64:
    case DType::kUInt32:
    case DType::kUInt16:
      return fmt::format("<u{}", bytes);
    case DType::kInt8:
      return "|i1";
    case DType::kUInt8:
      return "|u1";
    case DType::kBool:
      return "|b1";
    case DType::kBFloat16:
      break;
  }
  throw Error(fmt::format("the array {} cannot be written: NumPy has no {}", array.name,
                          to_string(array.dtype)));
}

uint64_t bytes_of(const NpyToWrite& array) {
  int64_t bytes = static_cast<int64_t>(item_size(array.dtype));
  for (const int64_t side : array.shape) {
    if (side < 0 || __builtin_mul_overflow(bytes, side, &bytes))
      throw Error(fmt::format("the array {} cannot have that shape", array.name));
  }
  return static_cast<uint64_t>(bytes);
}

// What stands before the elements, version 1 of the format.
std::string header_of(const NpyToWrite& array) {
  std::string shape;
  for (const int64_t side : array.shape) shape += fmt::format("{}, ", side);
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);
  if (array.shape.size() == 1) shape.resize(shape.size() - 1);
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                 descr_of(array), shape);
  constexpr size_t kBefore = 10;  // magic, version, length
  const size_t unpadded = kBefore + text.size() + 1;
  text.append((kHeaderAlignment - unpadded % kHeaderAlignment) % kHeaderAlignment, ' ');
  text += '\n';
  const auto length = static_cast<uint16_t>(text.size());
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(length & 0xff);
  header += static_cast<char>(length >> 8);
  return header + text;
}

// The header, then the elements.
FillBytes with_header(std::string header, FillBytes elements) {
  return [header = std::move(header), elements = std::move(elements),
          given = size_t{0}](std::span<std::byte> to) mutable {
    const size_t count = std::min(to.size(), header.size() - given);
    std::memcpy(to.data(), header.data() + given, count);
    given += count;
    if (count < to.size()) elements(to.subspan(count));
  };
}

}  // namespace

void write_npz(const std::filesystem::path& path, const std::vector<NpyToWrite>& arrays) {
  std::vector<ZipEntryToWrite> entries;
  for (const NpyToWrite& array : arrays) {
    const std::string header = header_of(array);
    entries.push_back({array.name + ".npy", header.size() + bytes_of(array),
                       [header, open = array.open] { return with_header(header, open()); }});
  }
  write_zip(path, entries);
}

}  // namespace tarflow::checkpoint
