#include "framework/core/file_kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>

namespace tarflow {
namespace {

using std::string_view_literals::operator""sv;

constexpr size_t kHead = 4096;  // bytes looked at
constexpr std::string_view kHdf5 = "\x89HDF\r\n\x1a\n"sv;

constexpr std::string_view kZipStart = "PK\3\4"sv;  // of the first entry

constexpr const char* kUnpack = "unpack it, and name what is inside";

struct Signature {
  size_t offset;
  std::string_view bytes;
  const char* name;
  const char* repair;
};

constexpr std::array kSignatures = {
    Signature{0, "\x93NUMPY"sv, "a NumPy array (.npy)", ""},
    Signature{0, "\xff\xd8\xff"sv, "a JPEG image", ""},
    Signature{0, "\x89PNG\r\n\x1a\n"sv, "a PNG image", ""},
    Signature{0, "GIF8"sv, "a GIF image", ""},
    Signature{8, "WEBP"sv, "a WebP image", ""},
    Signature{0, "II*\0"sv, "a TIFF image", ""},
    Signature{0, "MM\0*"sv, "a TIFF image", ""},
    Signature{4, "ftypavif"sv, "an AVIF image", ""},
    Signature{4, "ftypheic"sv, "a HEIC image", ""},
    Signature{0, "version https://git-lfs"sv, "a Git LFS pointer file",
              "fetch the file itself with `git lfs pull`"},
    Signature{0, "\x1f\x8b"sv, "a gzip archive", kUnpack},
    Signature{0, "BZh"sv, "a bzip2 archive", kUnpack},
    Signature{0,
              "\xfd"
              "7zXZ\0"sv,
              "an xz archive", kUnpack},
    Signature{0, "\x28\xb5\x2f\xfd"sv, "a zstd archive", kUnpack},
    Signature{0, "7z\xbc\xaf\x27\x1c"sv, "a 7z archive", kUnpack},
    Signature{0, "Rar!\x1a\x07"sv, "a RAR archive", kUnpack},
    Signature{257, "ustar"sv, kTarKind, kUnpack},
    Signature{0, "%PDF-"sv, "a PDF file", ""},
    Signature{0,
              "\x7f"
              "ELF"sv,
              "a program", ""},
    Signature{0, "SQLite format 3"sv, "an SQLite database", ""},
    Signature{0, "MATLAB 5.0"sv, "a MATLAB file", ""},
    Signature{0, "GGUF"sv, "a GGUF file", ""},
    Signature{0, "PAR1"sv, "a Parquet file", ""}};

bool has_at(std::string_view head, size_t offset, std::string_view bytes) {
  return head.size() >= offset && head.substr(offset).starts_with(bytes);
}

// Behind a user's block of 512 bytes or a power of two times that, it may stand as well.
bool is_hdf5(std::string_view head) {
  if (head.starts_with(kHdf5)) return true;
  for (size_t offset = 512; offset < head.size(); offset *= 2)
    if (has_at(head, offset, kHdf5)) return true;
  return false;
}

// By the name of its first entry, whose length stands at byte 26.
ContentKind kind_of_zip(std::string_view head) {
  if (head.size() < 30) return {"a zip archive", kUnpack};
  const size_t length = static_cast<unsigned char>(head[26]) +
                        256 * static_cast<size_t>(static_cast<unsigned char>(head[27]));
  const std::string_view entry = head.substr(30, std::min<size_t>(length, head.size() - 30));
  if (entry.ends_with(".npy")) return {"a NumPy file (.npz)", ""};
  for (const std::string_view part : {"data.pkl", "version", "byteorder", ".format_version"})
    if (entry.ends_with(std::string("/").append(part))) return {"a PyTorch file", ""};
  return {"a zip archive", kUnpack};
}

// Eight bytes of the header's length, little-endian, then the header, which is JSON.
bool is_safetensors(std::string_view head, uint64_t size) {
  if (head.size() < 9 || head[8] != '{') return false;
  uint64_t length = 0;
  for (size_t i = 8; i-- > 0;) length = length * 256 + static_cast<unsigned char>(head[i]);
  return length >= 2 && length <= size - 8;
}

bool is_text(std::string_view head) {
  return std::all_of(head.begin(), head.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 ? byte != 0x7f : c == '\n' || c == '\r' || c == '\t' || c == '\f';
  });
}

ContentKind kind_of_text(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  std::string start(text.substr(0, 15));
  std::transform(start.begin(), start.end(), start.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* mark : {"<!doctype html", "<html", "<head", "<body", "<script", "<!--"}) {
    if (start.starts_with(mark)) {
      return {"an HTML page", "the download saved a page in place of the file; download it again"};
    }
  }
  if (start.starts_with("<")) return {"an XML file", ""};
  if (start.starts_with("{") || start.starts_with("[")) return {"a JSON file", ""};
  const std::string_view line = text.substr(0, text.find('\n'));
  if (line.find_first_of(",;\t") != std::string_view::npos) return {"a CSV file", ""};
  return {"a text file", ""};
}

bool begins_with(const std::filesystem::path& file, std::string_view bytes) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) return false;
  std::ifstream in(file, std::ios::binary);
  std::string head(bytes.size(), '\0');
  return in.read(head.data(), static_cast<std::streamsize>(head.size())) && head == bytes;
}

}  // namespace

ContentKind kind_of(std::string_view head, uint64_t size) {
  if (size == 0) return {"an empty file", kGetItAgain};
  head = head.substr(0, kHead);
  if (head.size() > 8 && std::ranges::all_of(head, [](char c) { return c == 0; }))
    return {"a file that begins with zeros: it was not written to its end", kGetItAgain};
  if (is_hdf5(head)) return {kHdf5Kind, ""};
  for (const Signature& signature : kSignatures)
    if (has_at(head, signature.offset, signature.bytes)) return {signature.name, signature.repair};
  if (head.starts_with(kZipStart)) return kind_of_zip(head);
  if (head.starts_with("PK\5\6")) return {"an empty zip archive", ""};
  if (is_safetensors(head, size)) return {"a safetensors file", ""};
  // PROTO of protocol 2 or later, which pickle and the older torch.save begin with.
  if (head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5)
    return {"a pickle of Python or PyTorch", ""};
  if (is_text(head)) {
    ContentKind kind = kind_of_text(head);
    kind.text = true;
    return kind;
  }
  if (head.starts_with("BM")) return {"a BMP image", ""};
  return {};
}

ContentKind kind_of_file(const std::filesystem::path& file) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) return {};
  const uintmax_t size = std::filesystem::file_size(file, failed);
  std::ifstream in(file, std::ios::binary);
  if (failed || !in) return {};
  std::string head(kHead, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  return kind_of(head, size);
}

bool is_zip_file(const std::filesystem::path& file) { return begins_with(file, kZipStart); }

bool is_pickle_file(const std::filesystem::path& file) {
  return begins_with(file, "\x80") || begins_with(file, "L119547037");
}

Error wrong_kind(const std::filesystem::path& file, const std::string& wanted,
                 const std::string& repair, const std::string& what) {
  const ContentKind kind = kind_of_file(file);
  return Error(fmt::format("{}{} is {}not {}", what, file.string(),
                           kind.name.empty() ? "" : kind.name + ", ", wanted),
               kind.repair.empty() ? repair : kind.repair);
}

}  // namespace tarflow
