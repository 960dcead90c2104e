#include "framework/record/envelope.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMagic = "tarflow record ";

std::string envelope(int version, uint64_t bytes, const std::string& sha256) {
  std::string text = fmt::format("{}{}\nbytes {}\nsha256 {}\n", kMagic, version, bytes, sha256);
  text.resize(kEnvelopeBytes, '\0');
  return text;
}

// SHA-256 and length of everything after the envelope.
std::pair<std::string, uint64_t> hash_rest(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  in.seekg(kEnvelopeBytes);
  if (!in) throw Error(fmt::format("cannot read {}: {}", file.string(), std::strerror(errno)));
  Sha256 hash;
  uint64_t bytes = 0;
  std::vector<char> buffer(1 << 20);
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hash.update(buffer.data(), static_cast<size_t>(in.gcount()));
    bytes += static_cast<uint64_t>(in.gcount());
  }
  if (in.bad()) throw Error(fmt::format("cannot read {} to its end", file.string()));
  return {hash.hex(), bytes};
}

// The number behind the magic, 0 when there is none.
int version_of(const std::string& head) {
  int version = 0;
  if (head.starts_with(kMagic)) {
    std::from_chars(head.data() + kMagic.size(), head.data() + head.size(), version);
  }
  return version;
}

}  // namespace

void seal(const fs::path& file) {
  const auto [sha256, bytes] = hash_rest(file);
  std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
  const std::string head = envelope(kRecordVersion, bytes, sha256);
  out.write(head.data(), static_cast<std::streamsize>(head.size()));
  out.flush();
  if (!out) throw Error(fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)));
}

std::string verify_envelope(const fs::path& file) {
  std::error_code failed;
  if (fs::is_directory(file, failed)) {
    throw Error(fmt::format("cannot read {}: it is a folder", file.string()));
  }
  std::ifstream in(file, std::ios::binary);
  if (!in) throw Error(fmt::format("cannot read {}: {}", file.string(), std::strerror(errno)));
  std::string head(kEnvelopeBytes, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  const int version = version_of(head);
  if (version <= 0) {
    throw Error(fmt::format("{} is not a record written by run_sweep", file.string()),
                "give a file that run_sweep wrote: results/NAME.h5");
  }
  if (version > kRecordVersion) {
    throw Error(fmt::format("{} has record version {}; this program reads versions up to {}",
                            file.string(), version, kRecordVersion),
                "read it with the newer version of the program that wrote it");
  }
  const std::string damaged =
      fmt::format("{} is damaged: it was cut short or changed after it was written", file.string());
  if (head.size() < kEnvelopeBytes) throw Error(damaged, "remove it and run the sweep again");
  const auto [sha256, bytes] = hash_rest(file);
  if (head != envelope(version, bytes, sha256)) {
    throw Error(damaged, "remove it and run the sweep again");
  }
  return sha256;
}

}  // namespace tarflow::record
