#include <fmt/format.h>

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

constexpr const char* kWanted = "a checkpoint of PyTorch or safetensors";
constexpr const char* kNameCheckpoint = "name the .pth, .pt or .safetensors file of the model";

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
    throw Error(fmt::format("cannot read {}: it is not a regular file", path.string()));
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

bool is_index_of_parts(const fs::path& path, std::string_view head) {
  return path.string().ends_with(".index.json") ||
         head.find("\"weight_map\"") != std::string_view::npos;
}

[[noreturn]] void refuse(const fs::path& path, const std::string& head) {
  const ContentKind kind = kind_of_file(path);
  if (kind.name == kTarKind) {
    throw Error(
        fmt::format("{} is {}, or a checkpoint of PyTorch before 0.1.10", path.string(), kind.name),
        "unpack it, or load and save it again with a newer PyTorch");
  }
  if (kind.text && is_index_of_parts(path, head)) {
    throw Error(fmt::format("{} is the index of a model in several safetensors files, not {}",
                            path.string(), kWanted),
                "put their tensors into one file: load each with safetensors.torch.load_file, join "
                "the dicts, and write them with safetensors.torch.save_file");
  }
  if (!kind.name.empty() && !kind.text) throw wrong_kind(path, kWanted, kNameCheckpoint);
  throw wrong_kind(path,
                   fmt::format("{}: it begins with `{}`", kWanted,
                               printable(head.substr(0, kind.text ? 60 : 16))),
                   kGetItAgain);
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
