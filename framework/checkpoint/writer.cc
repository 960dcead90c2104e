#include "framework/checkpoint/writer.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <set>
#include <string_view>

#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::checkpoint {
namespace {

constexpr uint64_t kAlignment = 64;    // of storages, as PyTorch aligns them for memory mapping
constexpr uint64_t kLocalHeader = 30;  // bytes of a zip entry's header before name and extra fields
constexpr uint64_t kExtraHeader = 4;   // bytes of an extra field before its data
constexpr uint64_t kZip64Extra = 20;   // the local extra field of an entry of 4 GiB and more
constexpr uint16_t kPaddingField = 0x4246;  // "FB", the field that PyTorch pads with

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

// One entry's content as libzip asks for it.
struct Entry {
  std::string name;
  uint64_t size = 0;
  std::function<std::vector<std::byte>()> make;
  std::vector<std::byte> bytes;  // between open and close
  size_t given = 0;
  zip_error_t error;
  std::exception_ptr* failure = nullptr;  // of the whole file
};

// Exceptions may not cross libzip, so they are kept and thrown again when it has returned.
bool open_entry(Entry& entry) {
  try {
    entry.given = 0;
    entry.bytes = entry.make();
    if (entry.bytes.size() != entry.size) {
      throw Error(fmt::format("{} bytes were given for {}, which takes {}", entry.bytes.size(),
                              entry.name, entry.size));
    }
    return true;
  } catch (...) {
    *entry.failure = std::current_exception();
    zip_error_set(&entry.error, ZIP_ER_CANCELLED, 0);
    return false;
  }
}

zip_int64_t serve(void* user, void* data, zip_uint64_t length, zip_source_cmd_t command) {
  Entry& entry = *static_cast<Entry*>(user);
  switch (command) {
    case ZIP_SOURCE_OPEN:
      return open_entry(entry) ? 0 : -1;
    case ZIP_SOURCE_READ: {
      const size_t count = std::min<size_t>(length, entry.bytes.size() - entry.given);
      if (count) std::memcpy(data, entry.bytes.data() + entry.given, count);
      entry.given += count;
      return static_cast<zip_int64_t>(count);
    }
    case ZIP_SOURCE_CLOSE:
      entry.bytes = {};
      return 0;
    case ZIP_SOURCE_STAT: {
      auto* stat = static_cast<zip_stat_t*>(data);
      zip_stat_init(stat);
      stat->valid = ZIP_STAT_SIZE;
      stat->size = entry.size;
      return sizeof *stat;
    }
    case ZIP_SOURCE_ERROR:
      return zip_error_to_data(&entry.error, data, length);
    case ZIP_SOURCE_FREE:
      return 0;
    case ZIP_SOURCE_SUPPORTS:
      return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                            ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
                                            ZIP_SOURCE_SUPPORTS, -1);
    default:
      zip_error_set(&entry.error, ZIP_ER_OPNOTSUPP, 0);
      return -1;
  }
}

// Adds the entry at file offset `at`, padded so that its content is aligned, and returns where it
// ends.
uint64_t add_entry(zip_t* zip, Entry& entry, uint64_t at) {
  const auto check = [&](bool good) {
    if (!good) throw Error(fmt::format("cannot write {}: {}", entry.name, zip_strerror(zip)));
  };
  zip_error_init(&entry.error);
  zip_source_t* source = zip_source_function(zip, serve, &entry);
  check(source != nullptr);
  const zip_int64_t added = zip_file_add(zip, entry.name.c_str(), source, 0);
  if (added < 0) zip_source_free(source);
  check(added >= 0);
  const auto index = static_cast<zip_uint64_t>(added);
  check(zip_set_file_compression(zip, index, ZIP_CM_STORE, 0) == 0);
  // 1 January 1980, so that the same tensors make the same file.
  check(zip_file_set_dostime(zip, index, 0, 0x21, 0) == 0);
  uint64_t begin = at + kLocalHeader + entry.name.size() + kExtraHeader;
  if (entry.size >= std::numeric_limits<uint32_t>::max()) begin += kZip64Extra;
  const std::string padding((kAlignment - begin % kAlignment) % kAlignment, 'Z');
  check(zip_file_extra_field_set(zip, index, kPaddingField, ZIP_EXTRA_FIELD_NEW,
                                 reinterpret_cast<const zip_uint8_t*>(padding.data()),
                                 static_cast<zip_uint16_t>(padding.size()), ZIP_FL_LOCAL) == 0);
  return begin + padding.size() + entry.size;
}

// The entries of the archive in order. The folder's name is free and always the same.
std::vector<Entry> make_entries(const std::vector<TensorToWrite>& tensors) {
  std::vector<Entry> entries;
  const auto add_text = [&](const std::string& name, const std::string& text) {
    entries.push_back({"archive/" + name,
                       text.size(),
                       [text] {
                         const auto* begin = reinterpret_cast<const std::byte*>(text.data());
                         return std::vector<std::byte>(begin, begin + text.size());
                       },
                       {},
                       0,
                       {},
                       nullptr});
  };
  add_text("data.pkl", PickleWriter().write(tensors));
  add_text("byteorder", "little");
  for (size_t i = 0; i < tensors.size(); ++i) {
    entries.push_back({fmt::format("archive/data/{}", i),
                       checked_bytes(tensors[i]),
                       tensors[i].bytes,
                       {},
                       0,
                       {},
                       nullptr});
  }
  add_text("version", "3\n");
  return entries;
}

void write_zip(const std::filesystem::path& path, std::vector<Entry>& entries) {
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!zip) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw Error(fmt::format("cannot write {}: {}", path.string(), reason));
  }
  std::exception_ptr failure;
  try {
    uint64_t at = 0;
    for (Entry& entry : entries) {
      entry.failure = &failure;
      at = add_entry(zip, entry, at);
    }
    if (zip_close(zip) != 0) {  // which reads and writes everything
      if (failure) std::rethrow_exception(failure);
      throw Error(fmt::format("cannot write {}: {}", path.string(), zip_strerror(zip)));
    }
  } catch (...) {
    zip_discard(zip);
    throw;
  }
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
  std::vector<Entry> entries = make_entries(tensors);
  write_aside(path, [&](const std::filesystem::path& aside) { write_zip(aside, entries); });
}

}  // namespace tarflow::checkpoint
