#include "framework/checkpoint/zip_archive.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "framework/checkpoint/storage.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

// Deflate cannot shrink more than this, so an entry that claims more lies about its size.
constexpr uint64_t kMaxDeflateRatio = 1032;

}  // namespace

void ZipArchive::Discard::operator()(::zip* archive) const { zip_discard(archive); }

ZipArchive::ZipArchive(const std::filesystem::path& path) : path_(path) {
  int code = 0;
  zip_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!zip_) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    // The list of a zip archive's entries is its end, which an unfinished download lacks.
    const std::string reason = code == ZIP_ER_NOZIP
                                   ? fmt::format("its end is missing, only {} bytes are there",
                                                 std::filesystem::file_size(path))
                                   : zip_error_strerror(&error);
    zip_error_fini(&error);
    throw Error(fmt::format("cannot read {} as a zip archive: {}", path.string(), reason),
                kDamaged);
  }
  file_bytes_ = std::filesystem::file_size(path);
}

ZipArchive::~ZipArchive() = default;
ZipArchive::ZipArchive(ZipArchive&&) noexcept = default;

void ZipArchive::fail(const Entry& entry, const std::string& why) const {
  throw Error(fmt::format("{}: the entry {} {}", path_.string(), printable(entry.name), why),
              kDamaged);
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> names;
  const zip_int64_t entries = zip_get_num_entries(zip_.get(), 0);
  for (zip_int64_t i = 0; i < entries; ++i) {
    const char* name = zip_get_name(zip_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    names.emplace_back(name ? name : "");
  }
  return names;
}

std::optional<uint64_t> ZipArchive::locate(const std::string& name) const {
  const zip_int64_t index = zip_name_locate(zip_.get(), name.c_str(), ZIP_FL_ENC_RAW);
  return index < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(index));
}

ZipArchive::Entry ZipArchive::entry(const std::string& name) const {
  Entry entry{name, 0, 0, false};
  const auto index = locate(name);
  if (!index) fail(entry, "is missing");
  entry.index = *index;
  zip_stat_t stat;
  zip_stat_init(&stat);
  if (zip_stat_index(zip_.get(), entry.index, 0, &stat) != 0) fail(entry, zip_strerror(zip_.get()));
  constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if ((stat.valid & kNeeded) != kNeeded) fail(entry, "does not state its size");
  if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) && stat.encryption_method != ZIP_EM_NONE) {
    fail(entry, "is encrypted");
  }
  if (stat.comp_size > file_bytes_)
    fail(entry, fmt::format("claims {} bytes of the file", stat.comp_size));
  if (stat.comp_method == ZIP_CM_STORE) {
    if (stat.size != stat.comp_size) fail(entry, "is stored in another size than its own");
  } else if (stat.comp_method == ZIP_CM_DEFLATE) {
    if (stat.size / kMaxDeflateRatio > stat.comp_size) {
      fail(entry, fmt::format("claims to unpack from {} to {} bytes", stat.comp_size, stat.size));
    }
  } else {
    fail(entry, fmt::format("is compressed by method {}; only stored and deflated ones are read",
                            stat.comp_method));
  }
  entry.size = stat.size;
  entry.stored = stat.comp_method == ZIP_CM_STORE;
  return entry;
}

void ZipArchive::Stream::Close::operator()(::zip_file* file) const { zip_fclose(file); }

ZipArchive::Stream::Stream(const ZipArchive& archive, Entry entry)
    : archive_(archive), entry_(std::move(entry)) {
  open();
}

void ZipArchive::Stream::open() {
  ::zip* zip = archive_.zip_.get();
  file_.reset(zip_fopen_index(zip, entry_.index, 0));
  if (!file_) archive_.fail(entry_, fmt::format("cannot be read: {}", zip_strerror(zip)));
  at_ = 0;
}

uint64_t ZipArchive::Stream::read_some(std::span<std::byte> to) {
  const zip_int64_t got = zip_fread(file_.get(), to.data(), to.size());
  if (got < 0)
    archive_.fail(entry_, fmt::format("cannot be read: {}", zip_file_strerror(file_.get())));
  if (got == 0) archive_.fail(entry_, fmt::format("ends after {} of {} bytes", at_, entry_.size));
  at_ += static_cast<uint64_t>(got);
  return static_cast<uint64_t>(got);
}

void ZipArchive::Stream::skip_to(uint64_t offset) {
  if (offset == at_) return;
  if (entry_.stored && zip_fseek(file_.get(), static_cast<zip_int64_t>(offset), SEEK_SET) == 0) {
    at_ = offset;
    return;
  }
  if (entry_.stored || offset < at_) open();  // a failed zip_fseek() leaves an error behind
  std::vector<std::byte> passed(std::min<uint64_t>(offset - at_, uint64_t{1} << 20));
  while (at_ < offset)
    read_some(std::span(passed).first(std::min<uint64_t>(passed.size(), offset - at_)));
}

void ZipArchive::Stream::read(uint64_t offset, std::span<std::byte> to) {
  skip_to(offset);
  while (!to.empty()) to = to.subspan(read_some(to));
  if (at_ < entry_.size) return;
  // Only a read beyond the end makes libzip compare the checksum.
  std::byte beyond;
  if (zip_fread(file_.get(), &beyond, 1) < 0)
    archive_.fail(entry_, fmt::format("is damaged: {}", zip_file_strerror(file_.get())));
}

std::vector<std::byte> ZipArchive::read(const Entry& entry) const {
  constexpr uint64_t kFirst = uint64_t{16} << 20;
  const std::unique_ptr<zip_file_t, decltype(&zip_fclose)> file(
      zip_fopen_index(zip_.get(), entry.index, 0), &zip_fclose);
  if (!file) fail(entry, fmt::format("cannot be read: {}", zip_strerror(zip_.get())));
  std::vector<std::byte> bytes;
  uint64_t filled = 0;
  while (filled < entry.size) {
    if (filled == bytes.size()) bytes.resize(std::min(entry.size, std::max(kFirst, 2 * filled)));
    const zip_int64_t got = zip_fread(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0) fail(entry, fmt::format("cannot be read: {}", zip_file_strerror(file.get())));
    if (got == 0) fail(entry, fmt::format("ends after {} of {} bytes", filled, entry.size));
    filled += static_cast<uint64_t>(got);
  }
  std::byte beyond;
  const zip_int64_t got = zip_fread(file.get(), &beyond, 1);
  if (got < 0) fail(entry, fmt::format("is damaged: {}", zip_file_strerror(file.get())));
  if (got > 0) fail(entry, fmt::format("is longer than the {} bytes it claims", entry.size));
  return bytes;
}

}  // namespace tarflow::checkpoint
