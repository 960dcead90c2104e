#include "framework/record/envelope.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <vector>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/record/fault.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMagic = "tarflow record ";
constexpr std::string_view kHdf5Magic = "\x89HDF\r\n\x1a\n";

// A file open for reading.
class InFile {
 public:
  explicit InFile(const fs::path& path)
      : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) fail();
    struct stat status {};
    if (::fstat(file_, &status) != 0) {
      const int reason = errno;
      ::close(file_);
      errno = reason;
      fail();
    }
    folder_ = S_ISDIR(status.st_mode);
    bytes_ = static_cast<uint64_t>(status.st_size);
  }
  ~InFile() { ::close(file_); }
  InFile(const InFile&) = delete;
  InFile& operator=(const InFile&) = delete;

  // Up to `size` bytes; fewer at the end only.
  size_t read(char* to, size_t size) {
    size_t done = 0;
    while (done < size) {
      const ssize_t got = ::read(file_, to + done, size - done);
      if (got == 0) break;
      if (got > 0) done += static_cast<size_t>(got);
      if (got < 0 && errno != EINTR) fail();
    }
    return done;
  }
  bool folder() const { return folder_; }
  uint64_t bytes() const { return bytes_; }

 private:
  [[noreturn]] void fail() const {
    const int reason = errno;
    const bool absent = (reason == ENOENT || reason == ENOTDIR) && is_absent(path_);
    throw NotRead(absent ? Fault::kAbsent : Fault::kUnreadable,
                  fmt::format("cannot read {}: {}", path_.string(), std::strerror(reason)));
  }

  fs::path path_;
  int file_;
  bool folder_ = false;
  uint64_t bytes_ = 0;
};

// SHA-256 and length of what is left of the file.
std::pair<std::string, uint64_t> hash_rest(InFile& in) {
  Sha256 hash;
  uint64_t bytes = 0;
  std::vector<char> buffer(std::clamp<uint64_t>(in.bytes(), 4096, 1 << 18));
  while (const size_t got = in.read(buffer.data(), buffer.size())) {
    hash.update(buffer.data(), got);
    bytes += got;
  }
  return {hash.hex(), bytes};
}

std::string rendered(const Envelope& envelope) {
  std::string text = fmt::format("{}{}\nbytes {}\nsha256 {}\n", kMagic, envelope.version,
                                 envelope.bytes, envelope.sha256);
  if (envelope.version >= 2) {
    if (!envelope.merged.empty()) text += fmt::format("merged {}\n", envelope.merged);
    // So that the block can be trusted without reading what it describes.
    text += fmt::format("check {}\n", sha256_hex(text).substr(0, 16));
  }
  text.resize(kEnvelopeBytes, '\0');
  return text;
}

// The rest of the line that begins with `key` and a space, "" when there is none.
std::string value_of(const std::string& head, const std::string& key) {
  const size_t at = head.find("\n" + key + " ");
  if (at == std::string::npos) return "";
  const size_t start = at + key.size() + 2;
  return head.substr(start, head.find('\n', start) - start);
}

template <typename Number>
Number number_in(std::string_view text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

[[noreturn]] void no_record(const fs::path& file, const std::string& head) {
  const std::string repair = "give a file that run_sweep wrote: results/NAME.h5";
  if (head.empty()) {
    throw NotRead(Fault::kDamaged, fmt::format("{} is not a record: it is empty", file.string()),
                  repair);
  }
  throw NotRead(
      Fault::kDamaged,
      fmt::format("{} is not a record written by run_sweep{}", file.string(),
                  head.starts_with(kHdf5Magic) ? ", but another program's HDF5 file" : ""),
      repair);
}

[[noreturn]] void damaged(const fs::path& file) {
  throw NotRead(
      Fault::kDamaged,
      fmt::format("{} is damaged: it was cut short or changed after it was written", file.string()),
      "remove it and run the sweep again");
}

[[noreturn]] void no_file(const fs::path& folder) {
  fs::path beside = (folder / "").parent_path();  // without a slash at its end
  beside += ".h5";
  std::error_code absent;
  throw NotRead(Fault::kUnreadable, fmt::format("cannot read {}: it is a folder", folder.string()),
                fs::is_regular_file(beside, absent)
                    ? "give the record beside it: " + beside.string()
                    : "give a record: results/NAME.h5");
}

Envelope read_head(const fs::path& file, InFile& in) {
  if (in.folder()) no_file(file);
  std::string head(kEnvelopeBytes, '\0');
  head.resize(in.read(head.data(), head.size()));
  Envelope envelope;
  if (head.starts_with(kMagic)) {
    envelope.version = number_in<int>(std::string_view(head).substr(kMagic.size()));
  }
  if (envelope.version <= 0) no_record(file, head);
  if (envelope.version > kRecordVersion) {
    throw NotRead(Fault::kNewer,
                  fmt::format("{} has record version {}; this program reads versions up to {}",
                              file.string(), envelope.version, kRecordVersion),
                  "update this program, or read the file with the program that wrote it");
  }
  envelope.bytes = number_in<uint64_t>(value_of(head, "bytes"));
  envelope.sha256 = value_of(head, "sha256");
  envelope.merged = value_of(head, "merged");
  const bool whole = in.bytes() == kEnvelopeBytes + envelope.bytes;
  if (!whole || head != rendered(envelope)) damaged(file);
  return envelope;
}

}  // namespace

void seal(const fs::path& file, const std::string& merged) {
  Envelope envelope{kRecordVersion, 0, "", merged};
  {
    InFile in(file);
    std::string head(kEnvelopeBytes, '\0');
    in.read(head.data(), head.size());
    std::tie(envelope.sha256, envelope.bytes) = hash_rest(in);
  }
  std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
  const std::string head = rendered(envelope);
  out.write(head.data(), static_cast<std::streamsize>(head.size()));
  out.flush();
  if (!out) throw Error(fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)));
}

Envelope read_envelope(const fs::path& file) {
  InFile in(file);
  return read_head(file, in);
}

Envelope verify_envelope(const fs::path& file) {
  InFile in(file);
  Envelope envelope = read_head(file, in);
  if (hash_rest(in) != std::pair(envelope.sha256, envelope.bytes)) damaged(file);
  return envelope;
}

}  // namespace tarflow::record
