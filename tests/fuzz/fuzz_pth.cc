#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/tarflow_state.h"
#include "framework/core/error.h"
#include "tests/fuzz/targets.h"

namespace tarflow::fuzz {
namespace {

template <typename Number>
void append(std::string& bytes, Number number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

struct ZipEntry {
  std::string name, content;
};

// What a local header and the directory say alike of an entry.
void append_entry(std::string& bytes, const ZipEntry& entry) {
  append<uint16_t>(bytes, 20);          // version needed
  append<uint16_t>(bytes, 0);           // flags
  append<uint16_t>(bytes, 0);           // stored
  append<uint32_t>(bytes, 0x00210000);  // the first day that zip knows
  append(bytes, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(entry.content.data()),
                                            static_cast<uInt>(entry.content.size()))));
  append(bytes, static_cast<uint32_t>(entry.content.size()));
  append(bytes, static_cast<uint32_t>(entry.content.size()));
  append(bytes, static_cast<uint16_t>(entry.name.size()));
  append<uint16_t>(bytes, 0);  // extra field
}

std::string zip_of(const std::vector<ZipEntry>& entries) {
  std::string bytes, directory;
  for (const ZipEntry& entry : entries) {
    directory += "PK\x01\x02";
    append<uint16_t>(directory, 20);
    append_entry(directory, entry);
    directory.append(2 + 2 + 2 + 4, '\0');  // comment, disk, attributes
    append(directory, static_cast<uint32_t>(bytes.size()));
    directory += entry.name;
    bytes += "PK\x03\x04";
    append_entry(bytes, entry);
    bytes += entry.name + entry.content;
  }
  const auto start = static_cast<uint32_t>(bytes.size());
  bytes += directory + "PK\x05\x06";
  append<uint32_t>(bytes, 0);
  append(bytes, static_cast<uint16_t>(entries.size()));
  append(bytes, static_cast<uint16_t>(entries.size()));
  append(bytes, static_cast<uint32_t>(directory.size()));
  append(bytes, start);
  append<uint16_t>(bytes, 0);
  return bytes;
}

// Fuzzing the pickle itself: a changed byte in an archive only makes its checksum wrong.
std::string checkpoint_of(std::string_view pickle) {
  std::string storage;
  for (int i = 0; i < 96; ++i) storage += static_cast<char>(i);
  std::vector<ZipEntry> entries = {{"a/data.pkl", std::string(pickle)}, {"a/byteorder", "little"}};
  for (const char* key : {"0", "1", "2", "3"})
    entries.push_back({std::string("a/data/") + key, storage});
  return zip_of(entries);
}

template <typename Body>
bool accepted(const Body& body) {
  try {
    body();
    return true;
  } catch (const Error& error) {
    must(!error.problems().empty() && *error.what() != '\0', "an error says nothing");
    return false;
  }
}

void read_all(std::string_view bytes) {
  static const ScratchFolder folder;
  const std::filesystem::path path = folder.put("fuzz.pth", bytes);
  accepted([&] {
    const checkpoint::Checkpoint opened = checkpoint::Checkpoint::open(path);
    accepted([&] { checkpoint::as_tarflow(opened); });
    size_t read = 0;
    for (const checkpoint::TensorInfo& tensor : opened.tensors()) {
      if (++read > 16) break;  // thousands of names of one tensor only cost time
      accepted([&] {
        must(static_cast<int64_t>(opened.read_f32(tensor.name).size()) == tensor.elements(),
             "a tensor has another size than its shape");
      });
      accepted([&] { opened.read_i64(tensor.name); });
    }
  });
}

}  // namespace

void pth(std::string_view bytes) {
  read_all(bytes.starts_with("PK") ? std::string(bytes) : checkpoint_of(bytes));
}

void legacy_pth(std::string_view bytes) { read_all(bytes); }

void safetensors(std::string_view bytes) {
  if (!bytes.starts_with('{')) return read_all(bytes);
  // A header alone: with its length, and as many bytes of tensors as the seeds have.
  std::string file;
  append(file, static_cast<uint64_t>(bytes.size()));
  file += bytes;
  for (int i = 0; i < 128; ++i) file += static_cast<char>(i);
  read_all(file);
}

}  // namespace tarflow::fuzz
