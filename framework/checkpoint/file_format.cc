#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include "framework/checkpoint/storage.h"
#include "framework/core/error.h"
#include "framework/core/file_kind.h"

namespace tarflow::checkpoint {
namespace {

namespace fs = std::filesystem;
using std::string_view_literals::operator""sv;

constexpr const char* kNotDownloaded = "the download failed or left a placeholder: get it again";
constexpr const char* kNameCheckpoint = "name the .pth, .pt or .safetensors file of the model";

// What begins with these bytes, and is none of the formats that are read.
struct Foreign {
  std::string_view magic, what, repair;
};
constexpr const char* kUnpack = "unpack it, and name the .pth or .safetensors file in it";
constexpr Foreign kForeign[] = {
    {"\x1f\x8b"sv, "is compressed with gzip", kUnpack},
    {"BZh"sv, "is compressed with bzip2", kUnpack},
    {"\xfd"
     "7zXZ\0"sv,
     "is compressed with xz", kUnpack},
    {"\x28\xb5\x2f\xfd"sv, "is compressed with zstd", kUnpack},
    {"7z\xbc\xaf\x27\x1c"sv, "is a 7z archive", kUnpack},
    {"Rar!"sv, "is a RAR archive", kUnpack},
    {"\x89HDF\r\n\x1a\n"sv, "is an HDF5 file", kNameCheckpoint},
    {"\x93NUMPY"sv, "is a NumPy array", kNameCheckpoint},
    {"GGUF"sv, "is a GGUF file", kNameCheckpoint},
    {"\x89PNG"sv, "is a PNG image", kNameCheckpoint},
    {"\xff\xd8\xff"sv, "is a JPEG image", kNameCheckpoint},
    {"%PDF"sv, "is a PDF document", kNameCheckpoint},
    {"\x7f"
     "ELF"sv,
     "is a program", kNameCheckpoint},
};

std::string head_of(const fs::path& path) {
  std::error_code failed;
  const auto status = fs::status(path, failed);
  if (!fs::exists(status))
    throw Error(fmt::format("cannot read {}: there is no such file", path.string()));
  if (fs::is_directory(status)) {
    throw Error(fmt::format("cannot read {}: it is a folder, no regular file", path.string()),
                kNameCheckpoint);
  }
  if (!fs::is_regular_file(status))
    throw Error(fmt::format("cannot read {}: it is no regular file", path.string()));
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  std::string head(512, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  return head;
}

// The length of a header, then the header, which is JSON.
bool begins_as_safetensors(std::string_view head) {
  constexpr uint64_t kFormatsLimit = 100'000'000;  // bytes of a header
  uint64_t header = 0;
  if (head.size() <= sizeof header || head[sizeof header] != '{') return false;
  std::memcpy(&header, head.data(), sizeof header);
  return header <= kFormatsLimit;
}

// Lower case, without what stands before the first character that is visible.
std::string plain_text(std::string_view head) {
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  head.remove_prefix(std::min(head.find_first_not_of(" \t\r\n"), head.size()));
  std::string text(head);
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

bool is_text(std::string_view head) {
  return std::ranges::all_of(head, [](char c) {
    return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t' || c < 0;
  });
}

// The size that the pointer of Git LFS states: "... size 12345"; "" when it states none.
std::string size_in_pointer(std::string_view head) {
  const size_t at = head.find("\nsize ");
  if (at == std::string_view::npos) return "";
  const std::string_view rest = head.substr(at + 6);
  const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
  return fmt::format(" of a file of {} bytes", rest.substr(0, digits));
}

// Web pages, pointers and messages that a download left in the place of the file.
void refuse_text(const fs::path& path, const std::string& head) {
  const auto fail = [&](const std::string& what, const char* repair = kNotDownloaded) {
    throw Error(fmt::format("{} is no checkpoint: it {}", path.string(), what), repair);
  };
  const std::string text = plain_text(head);
  if (text.starts_with("version https://git-lfs")) {
    fail(fmt::format("is a Git LFS pointer{}, not the file itself", size_in_pointer(text)),
         "run `git lfs pull` in its repository, or download the file");
  }
  for (const char* mark : {"<!doctype html", "<html", "<head", "<body", "<script", "<!--"}) {
    if (text.starts_with(mark))
      fail(fmt::format("is a web page (HTML), beginning `{}`", printable(head.substr(0, 40))));
  }
  if (text.starts_with("<?xml") || text.starts_with("<error"))
    fail(fmt::format("is XML, beginning `{}`", printable(head.substr(0, 60))));
  if (text.starts_with("{") || text.starts_with("[")) {
    if (path.string().ends_with(".index.json") ||
        text.find("\"weight_map\"") != std::string::npos) {
      fail("is the index of a model in several safetensors files",
           "put their tensors into one file: load each with safetensors.torch.load_file, join the "
           "dicts, and write them with safetensors.torch.save_file");
    }
    fail(fmt::format("is JSON, beginning `{}`", printable(head.substr(0, 60))));
  }
  if (is_text(head)) fail(fmt::format("is text, beginning `{}`", printable(head.substr(0, 60))));
}

[[noreturn]] void refuse(const fs::path& path, const std::string& head) {
  const auto fail = [&](std::string_view what, std::string_view repair) {
    throw Error(fmt::format("{} is no checkpoint: it {}", path.string(), what),
                std::string(repair));
  };
  if (head.empty()) fail("is empty", kNotDownloaded);
  for (const Foreign& foreign : kForeign) {
    if (head.starts_with(foreign.magic)) fail(foreign.what, foreign.repair);
  }
  if (head.substr(std::min<size_t>(257, head.size())).starts_with("ustar")) {
    throw Error(fmt::format("{} is in the tar format: an archive, or a checkpoint of PyTorch "
                            "before 0.1.10",
                            path.string()),
                "unpack it, or load and save it again with a newer PyTorch");
  }
  if (std::ranges::all_of(head, [](char c) { return c == 0; }))
    fail("begins with zeros: it was never written, or not to its end", kNotDownloaded);
  refuse_text(path, head);
  std::error_code failed;
  if (!kind_of(head, fs::file_size(path, failed)).name.empty())
    throw wrong_kind(path, "a checkpoint of PyTorch or safetensors", kNameCheckpoint);
  throw Error(fmt::format("{} is no checkpoint of PyTorch or safetensors: it begins with `{}`",
                          path.string(), printable(head.substr(0, 16))),
              kNotDownloaded);
}

}  // namespace

Format format_of(const fs::path& path) {
  const std::string head = head_of(path);
  // The length of a safetensors header may begin like a pickle, but never goes on like one.
  if (begins_as_safetensors(head)) return Format::kSafetensors;
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) return Format::kZip;
  // A legacy file begins with PROTO, or in protocol 1 with the magic number as text.
  if (head.starts_with('\x80') || head.starts_with("L1195470371")) return Format::kLegacy;
  refuse(path, head);
}

}  // namespace tarflow::checkpoint
