// What the checkpoint tests share: fixtures, folders of their own, and pickles and archives made by
// hand.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zip.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::checkpoint::testing {

inline std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(TARFLOW_SOURCE_DIR) / "tests/checkpoint/fixtures" / name;
}

// A folder that lives as long as the value; in memory where the system offers that, since every
// write of a checkpoint waits for the disk.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> count = 0;
    const std::filesystem::path memory = "/dev/shm";
    const bool usable = ::access(memory.c_str(), W_OK) == 0;
    path_ = (usable ? memory : std::filesystem::temp_directory_path()) /
            ("tarflow_checkpoint_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The message of the Error that `body` throws; a failure when it throws none.
template <typename Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

template <typename Number>
std::string little_endian(Number number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

// --- pickles, opcode by opcode
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::string bytes;
  ((bytes += parts), ...);
  return bytes;
}
inline std::string text_op(std::string_view text) {
  return cat("X", little_endian(static_cast<uint32_t>(text.size())), text);
}
inline std::string int_op(int64_t number) { return cat("\x8a\x08", little_endian(number)); }
inline std::string tuple_op(const std::vector<int64_t>& numbers) {
  std::string ops = "(";
  for (const int64_t number : numbers) ops += int_op(number);
  return ops + "t";
}
// The persistent id of a storage.
inline std::string storage_op(const std::string& key, int64_t elements,
                              const std::string& type = "torch\nFloatStorage\n") {
  return cat("(", text_op("storage"), "c", type, text_op(key), text_op("cpu"), int_op(elements),
             "tQ");
}
// A tensor of that storage.
inline std::string tensor_op(const std::string& storage, int64_t offset,
                             const std::vector<int64_t>& shape,
                             const std::vector<int64_t>& strides) {
  return cat("ctorch._utils\n_rebuild_tensor_v2\n(", storage, int_op(offset), tuple_op(shape),
             tuple_op(strides),
             "\x89"
             "ccollections\nOrderedDict\n)RtR");
}
// {name: tensor}
inline std::string dict_pickle(const std::string& name, const std::string& tensor) {
  return cat("\x80\x02}", text_op(name), tensor, "s.");
}

// --- archives
inline void write_zip(const std::filesystem::path& path,
                      const std::vector<std::pair<std::string, std::string>>& entries,
                      int method = ZIP_CM_STORE) {
  std::filesystem::remove(path);
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE, &code);
  ASSERT_NE(zip, nullptr);
  for (const auto& [name, content] : entries) {
    zip_source_t* source = zip_source_buffer(zip, content.data(), content.size(), 0);
    const zip_int64_t index = zip_file_add(zip, name.c_str(), source, 0);
    ASSERT_GE(index, 0);
    ASSERT_EQ(zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), method, 0), 0);
  }
  ASSERT_EQ(zip_close(zip), 0);
}

// A legacy file: the four pickles around `object`, the keys, then (element count, bytes) of each
// storage.
inline std::string legacy_file(const std::string& object, const std::vector<std::string>& keys,
                               const std::vector<std::pair<int64_t, std::string>>& storages) {
  std::string bytes("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  bytes += "\x80\x02M\xe9\x03.";
  bytes += "\x80\x02}" + text_op("little_endian") + "\x88s.";
  bytes += object + "\x80\x02]";
  for (const std::string& key : keys) bytes += text_op(key) + "a";
  bytes += ".";
  for (const auto& [count, content] : storages) bytes += little_endian(count) + content;
  return bytes;
}

}  // namespace tarflow::checkpoint::testing
