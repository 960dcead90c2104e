#include "framework/checkpoint/npz.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "framework/checkpoint/dtype.h"
#include "framework/checkpoint/pickle.h"
#include "framework/checkpoint/storage.h"
#include "framework/checkpoint/zip_archive.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 4096;
constexpr size_t kMaxNpyDimensions = 32;  // NumPy's own limit

// What the header of an .npy file states.
struct NpyHeader {
  DType dtype = DType::kFloat64;
  bool column_major = false;
  std::vector<int64_t> shape;
};

// Reads the Python dict of a header, {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), },
// and nothing else of the language.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  NpyHeader parse() {
    NpyHeader header;
    int found = 0;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        header.dtype = dtype(quoted());
        found |= 1;
      } else if (key == "fortran_order") {
        header.column_major = boolean();
        found |= 2;
      } else if (key == "shape") {
        header.shape = shape();
        found |= 4;
      } else {
        fail(fmt::format("has a header with the key `{}`", printable(key)));
      }
      if (!accept(',') && peek() != '}') fail("has a header without a comma between its entries");
    }
    if (found != 7) fail("has a header without `descr`, `fortran_order` or `shape`");
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(fmt::format("{} {}", where_, why), "save it with numpy.savez");
  }

  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail(fmt::format("has a header without `{}` where one must be", wanted));
  }

  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') {
      // A list here describes a record of several fields.
      fail("holds no plain numbers: its header states no single type");
    }
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("has a header with an open string");
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return inside;
  }

  bool boolean() {
    peek();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    fail("has a header whose `fortran_order` is neither True nor False");
  }

  std::vector<int64_t> shape() {
    std::vector<int64_t> sides;
    expect('(');
    while (!accept(')')) {
      peek();
      int64_t side = 0;
      const char* begin = text_.data() + at_;
      const auto [end, failed] = std::from_chars(begin, text_.data() + text_.size(), side);
      if (failed != std::errc() || side < 0 || sides.size() == kMaxNpyDimensions)
        fail("has a header with an impossible shape");
      at_ += static_cast<size_t>(end - begin);
      sides.push_back(side);
      if (!accept(',') && peek() != ')') fail("has a header with an impossible shape");
    }
    return sides;
  }

  DType dtype(std::string_view descr) const {
    static constexpr std::pair<std::string_view, DType> kKnown[] = {
        {"<f4", DType::kFloat32}, {"<f8", DType::kFloat64}, {"<f2", DType::kFloat16},
        {"<i8", DType::kInt64},   {"<i4", DType::kInt32},   {"<i2", DType::kInt16},
        {"|i1", DType::kInt8},    {"<u8", DType::kUInt64},  {"<u4", DType::kUInt32},
        {"<u2", DType::kUInt16},  {"|u1", DType::kUInt8}};
    for (const auto& [name, type] : kKnown) {
      if (name == descr) return type;
    }
    fail(fmt::format("holds elements of type `{}`; little-endian floats and integers are read",
                     printable(descr)));
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

// From column-major to row-major.
std::vector<double> transposed(const std::vector<double>& values,
                               const std::vector<int64_t>& shape) {
  std::vector<double> result(values.size());
  std::vector<int64_t> index(shape.size(), 0);
  for (const double value : values) {
    size_t to = 0;
    for (size_t d = 0; d < shape.size(); ++d)
      to = to * static_cast<size_t>(shape[d]) + static_cast<size_t>(index[d]);
    result[to] = value;
    for (size_t d = 0; d < shape.size() && ++index[d] == shape[d]; ++d) index[d] = 0;
  }
  return result;
}

// Bytes of the elements; nothing beyond int64.
std::optional<int64_t> bytes_of(const NpyHeader& header) {
  int64_t bytes = static_cast<int64_t>(item_size(header.dtype));
  for (const int64_t side : header.shape) {
    if (__builtin_mul_overflow(bytes, side, &bytes)) return std::nullopt;
  }
  return bytes;
}

struct NpyStart {
  NpyHeader header;
  size_t data_at = 0;  // where the elements begin
};

// Of the first bytes of an .npy file, which hold its header at least.
NpyStart read_start(std::span<const std::byte> bytes, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || !text.starts_with(kMagic))
    throw Error(fmt::format("{} is no .npy file", where), kDamaged);
  const int version = text[6];
  if (version < 1 || version > 3)
    throw Error(
        fmt::format("{} has version {} of the .npy format; 1 to 3 are read", where, version));
  const size_t begin = version == 1 ? 10 : 12;
  uint32_t length = 0;
  std::memcpy(&length, text.data() + 8, version == 1 ? 2 : 4);
  if (length > kMaxHeaderBytes || length > text.size() - begin)
    throw Error(fmt::format("{} claims a header of {} bytes", where, length), kDamaged);
  return {HeaderParser(text.substr(begin, length), where).parse(), begin + length};
}

void require_elements(const NpyHeader& header, uint64_t bytes, const std::string& where) {
  const auto expected = bytes_of(header);
  if (expected && static_cast<uint64_t>(*expected) == bytes) return;
  throw Error(fmt::format("{} of shape ({}) and {} has {} bytes of elements", where,
                          fmt::join(header.shape, ", "), to_string(header.dtype), bytes),
              kDamaged);
}

std::string array_text(const std::filesystem::path& path, const std::string& name) {
  return fmt::format("{}: the array `{}`", path.string(), printable(name));
}

}  // namespace

NpyArray parse_npy(std::span<const std::byte> bytes, const std::string& where) {
  const auto [header, data_at] = read_start(bytes, where);
  const std::span<const std::byte> data = bytes.subspan(data_at);
  require_elements(header, data.size(), where);
  NpyArray array{header.shape, to_f64(data, header.dtype)};
  if (header.column_major && array.shape.size() > 1)
    array.values = transposed(array.values, array.shape);
  return array;
}

Npz::Npz(std::filesystem::path path) : path_(std::move(path)) {
  for (const std::string& name : ZipArchive(path_).names()) {
    if (name.ends_with(".npy")) names_.push_back(name.substr(0, name.size() - 4));
  }
}

bool Npz::has(const std::string& name) const {
  return std::ranges::find(names_, name) != names_.end();
}

NpyArray Npz::read(const std::string& name) const {
  if (!has(name)) {
    constexpr size_t kNamed = 20;
    std::vector<std::string> named;
    for (size_t i = 0; i < std::min(names_.size(), kNamed); ++i)
      named.push_back(printable(names_[i]));
    throw Error(fmt::format("{} has no array `{}`; it has {}", path_.string(), name,
                            named.empty() ? "none" : fmt::format("{}", fmt::join(named, ", "))));
  }
  const ZipArchive archive(path_);
  return parse_npy(archive.read(archive.entry(name + ".npy")), array_text(path_, name));
}

struct NpzRows::State {
  State(const std::filesystem::path& path, const std::string& name)
      : archive(path),
        entry(archive.entry(name + ".npy")),
        stream(archive, entry),
        where(array_text(path, name)) {}

  ZipArchive archive;
  ZipArchive::Entry entry;
  ZipArchive::Stream stream;
  std::string where;
  NpyHeader header;
  uint64_t data_at = 0;
  size_t row_bytes = 0;
};

NpzRows::NpzRows(const std::filesystem::path& path, const std::string& name)
    : state_(std::make_unique<State>(path, name)) {
  State& state = *state_;
  constexpr uint64_t kMostOfStart = 12 + kMaxHeaderBytes;
  std::vector<std::byte> start(std::min(state.entry.size, kMostOfStart));
  state.stream.read(0, start);
  const auto [header, data_at] = read_start(start, state.where);
  require_elements(header, state.entry.size - data_at, state.where);
  if (header.shape.empty() || header.column_major) {
    throw Error(
        fmt::format("{} {}", state.where,
                    header.shape.empty() ? "is a single number" : "is stored column by column"),
        "save it with numpy.savez(file, numpy.ascontiguousarray(array))");
  }
  state.header = header;
  state.data_at = data_at;
  const auto rows = static_cast<uint64_t>(header.shape[0]);
  state.row_bytes = rows == 0 ? 0 : static_cast<size_t>((state.entry.size - data_at) / rows);
}

NpzRows::~NpzRows() = default;
NpzRows::NpzRows(NpzRows&&) noexcept = default;
NpzRows& NpzRows::operator=(NpzRows&&) noexcept = default;

const std::vector<int64_t>& NpzRows::shape() const { return state_->header.shape; }
DType NpzRows::dtype() const { return state_->header.dtype; }
size_t NpzRows::row_bytes() const { return state_->row_bytes; }

std::vector<std::byte> NpzRows::read(int64_t row) {
  if (row < 0 || row >= shape()[0])
    throw Error(fmt::format("{} has no row {} of {}", state_->where, row, shape()[0]));
  std::vector<std::byte> bytes(state_->row_bytes);
  state_->stream.read(state_->data_at + static_cast<uint64_t>(row) * bytes.size(), bytes);
  return bytes;
}

}  // namespace tarflow::checkpoint
