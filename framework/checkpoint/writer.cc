#include "framework/checkpoint/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <set>
#include <span>
#include <string_view>

#include "framework/checkpoint/zip_writer.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

// Bytes of the tensor. Throws Error for what cannot be written.
uint64_t checked_bytes(const TensorToWrite& tensor) {
  if (storage_class(tensor.dtype).empty()) {
    throw Error(
        fmt::format("tensors of {} cannot be written: {}", to_string(tensor.dtype), tensor.name));
  }
  int64_t bytes = static_cast<int64_t>(item_size(tensor.dtype));
  bool empty = false;
  for (const int64_t side : tensor.shape) {  // the strides of an empty tensor must fit as well
    if (side < 0 || __builtin_mul_overflow(bytes, std::max<int64_t>(side, 1), &bytes)) {
      throw Error(fmt::format("the tensor {} cannot have that shape", tensor.name));
    }
    empty = empty || side == 0;
  }
  return empty ? 0 : static_cast<uint64_t>(bytes);
}

// The pickle, protocol 2, of an OrderedDict of tensors.
class PickleWriter {
 public:
  std::string write(const std::vector<TensorToWrite>& tensors) {
    out_ = "\x80\x02";
    global("collections", "OrderedDict");
    out_ += ")R(";
    for (size_t i = 0; i < tensors.size(); ++i) tensor(tensors[i], i);
    out_ += "u.";
    return std::move(out_);
  }

 private:
  void global(std::string_view module, std::string_view name) {
    out_ += fmt::format("c{}\n{}\n", module, name);
  }

  void text(std::string_view text) {
    const auto length = static_cast<uint32_t>(text.size());
    out_ += 'X';
    out_.append(reinterpret_cast<const char*>(&length), sizeof length);
    out_ += text;
  }

  void integer(int64_t value) {  // never negative
    if (value <= std::numeric_limits<int32_t>::max()) {
      const auto number = static_cast<int32_t>(value);
      out_ += 'J';
      out_.append(reinterpret_cast<const char*>(&number), sizeof number);
    } else {
      out_ += "\x8a\x08";
      out_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
  }

  void tuple(const std::vector<int64_t>& values) {
    out_ += '(';
    for (const int64_t value : values) integer(value);
    out_ += 't';
  }

  // name: torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)
  void tensor(const TensorToWrite& tensor, size_t index) {
    std::vector<int64_t> strides(tensor.shape.size());
    int64_t elements = 1;
    for (size_t i = strides.size(); i-- > 0;) {
      strides[i] = elements;
      elements *= std::max<int64_t>(tensor.shape[i], 1);
    }
    if (std::ranges::find(tensor.shape, 0) != tensor.shape.end()) elements = 0;
    text(tensor.name);
    global("torch._utils", "_rebuild_tensor_v2");
    out_ += "((";
    text("storage");
    global("torch", storage_class(tensor.dtype));
    text(fmt::to_string(index));
    text("cpu");
    integer(elements);
    out_ += "tQ";
    integer(0);
    tuple(tensor.shape);
    tuple(strides);
    out_ += '\x89';
    global("collections", "OrderedDict");
    out_ += ")RtR";
  }

  std::string out_;
};

// All bytes that `make` returns, which are to be `size`.
ZipEntryToWrite entry_of(const std::string& name, uint64_t size,
                         const std::function<std::vector<std::byte>()>& make) {
  return {"archive/" + name, size, [name, size, make]() -> FillBytes {
            const auto bytes = std::make_shared<std::vector<std::byte>>(make());
            if (bytes->size() != size) {
              throw Error(fmt::format("{} bytes were given for archive/{}, which takes {}",
                                      bytes->size(), name, size));
            }
            return [bytes, given = size_t{0}](std::span<std::byte> to) mutable {
              std::memcpy(to.data(), bytes->data() + given, to.size());
              given += to.size();
            };
          }};
}

// The entries of the archive in order. The folder's name is free and always the same.
std::vector<ZipEntryToWrite> make_entries(const std::vector<TensorToWrite>& tensors) {
  std::vector<ZipEntryToWrite> entries;
  const auto add_text = [&](const std::string& name, const std::string& text) {
    entries.push_back(entry_of(name, text.size(), [text] {
      const auto* begin = reinterpret_cast<const std::byte*>(text.data());
      return std::vector<std::byte>(begin, begin + text.size());
    }));
  };
  add_text("data.pkl", PickleWriter().write(tensors));
  add_text("byteorder", "little");
  for (size_t i = 0; i < tensors.size(); ++i) {
    entries.push_back(
        entry_of(fmt::format("data/{}", i), checked_bytes(tensors[i]), tensors[i].bytes));
  }
  add_text("version", "3\n");
  return entries;
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path,
                      const std::vector<TensorToWrite>& tensors) {
  std::set<std::string_view> names;
  for (const TensorToWrite& tensor : tensors) {
    checked_bytes(tensor);
    if (!names.insert(tensor.name).second) {
      throw Error(fmt::format("two tensors are named {}", tensor.name));
    }
  }
  write_zip(path, make_entries(tensors));
}

}  // namespace tarflow::checkpoint
