#include "framework/checkpoint/zip_writer.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <exception>
#include <limits>

#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::checkpoint {
namespace {

constexpr uint64_t kAlignment = 64;    // of contents, as PyTorch aligns storages for memory mapping
constexpr uint64_t kLocalHeader = 30;  // bytes of a zip entry's header before name and extra fields
constexpr uint64_t kExtraHeader = 4;   // bytes of an extra field before its data
constexpr uint64_t kZip64Extra = 20;   // the local extra field of an entry of 4 GiB and more
constexpr uint16_t kPaddingField = 0x4246;  // "FB", the field that PyTorch pads with

// One entry's content as libzip asks for it.
struct Entry {
  const ZipEntryToWrite* from = nullptr;
  FillBytes fill;      // between open and close
  uint64_t given = 0;  // bytes since open
  zip_error_t error;
  std::exception_ptr* failure = nullptr;  // of the whole file
};

// Exceptions may not cross libzip, so they are kept and thrown again when it has returned.
template <typename Action>
bool attempt(Entry& entry, const Action& action) {
  try {
    action();
    return true;
  } catch (...) {
    *entry.failure = std::current_exception();
    zip_error_set(&entry.error, ZIP_ER_CANCELLED, 0);
    return false;
  }
}

zip_int64_t read_entry(Entry& entry, void* data, zip_uint64_t length) {
  const uint64_t count = std::min<uint64_t>(length, entry.from->size - entry.given);
  if (count == 0) return 0;
  if (!attempt(entry, [&] { entry.fill({static_cast<std::byte*>(data), count}); })) return -1;
  entry.given += count;
  return static_cast<zip_int64_t>(count);
}

zip_int64_t serve(void* user, void* data, zip_uint64_t length, zip_source_cmd_t command) {
  Entry& entry = *static_cast<Entry*>(user);
  switch (command) {
    case ZIP_SOURCE_OPEN:
      entry.given = 0;
      return attempt(entry, [&] { entry.fill = entry.from->open(); }) ? 0 : -1;
    case ZIP_SOURCE_READ:
      return read_entry(entry, data, length);
    case ZIP_SOURCE_CLOSE:
      entry.fill = nullptr;
      return 0;
    case ZIP_SOURCE_STAT: {
      auto* stat = static_cast<zip_stat_t*>(data);
      zip_stat_init(stat);
      stat->valid = ZIP_STAT_SIZE;
      stat->size = entry.from->size;
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
  const std::string& name = entry.from->name;
  const auto check = [&](bool good) {
    if (!good) throw Error(fmt::format("cannot write {}: {}", name, zip_strerror(zip)));
  };
  zip_error_init(&entry.error);
  zip_source_t* source = zip_source_function(zip, serve, &entry);
  check(source != nullptr);
  const zip_int64_t added = zip_file_add(zip, name.c_str(), source, 0);
  if (added < 0) zip_source_free(source);
  check(added >= 0);
  const auto index = static_cast<zip_uint64_t>(added);
  check(zip_set_file_compression(zip, index, ZIP_CM_STORE, 0) == 0);
  // 1 January 1980, so that the same entries make the same file.
  check(zip_file_set_dostime(zip, index, 0, 0x21, 0) == 0);
  uint64_t begin = at + kLocalHeader + name.size() + kExtraHeader;
  if (entry.from->size >= std::numeric_limits<uint32_t>::max()) begin += kZip64Extra;
  const std::string padding((kAlignment - begin % kAlignment) % kAlignment, 'Z');
  check(zip_file_extra_field_set(zip, index, kPaddingField, ZIP_EXTRA_FIELD_NEW,
                                 reinterpret_cast<const zip_uint8_t*>(padding.data()),
                                 static_cast<zip_uint16_t>(padding.size()), ZIP_FL_LOCAL) == 0);
  return begin + padding.size() + entry.from->size;
}

void write_archive(const std::filesystem::path& path, const std::vector<ZipEntryToWrite>& from) {
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!zip) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw Error(fmt::format("cannot write {}: {}", path.string(), reason));
  }
  std::vector<Entry> entries(from.size());  // libzip keeps pointers to them
  std::exception_ptr failure;
  try {
    uint64_t at = 0;
    for (size_t i = 0; i < from.size(); ++i) {
      entries[i].from = &from[i];
      entries[i].failure = &failure;
      at = add_entry(zip, entries[i], at);
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

void write_zip(const std::filesystem::path& path, const std::vector<ZipEntryToWrite>& entries) {
  write_aside(path, [&](const std::filesystem::path& aside) { write_archive(aside, entries); });
}

}  // namespace tarflow::checkpoint
