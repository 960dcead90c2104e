// What the tests of this folder share: the fixtures, and a folder that goes away.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/hash.h"
#include "framework/core/json.h"
#include "framework/images/image.h"

namespace tarflow::images {

inline std::filesystem::path fixtures() {
  return std::filesystem::path(TARFLOW_SOURCE_DIR) / "tests/images/fixtures";
}

inline Json expected() { return read_json_file(fixtures() / "expected.json"); }

inline std::string digest(const Image& image) {
  return sha256_hex({reinterpret_cast<const char*>(image.rgb.data()), image.rgb.size()});
}

// Noise, equal to `pattern` of fixtures/make_fixtures.py.
inline Image pattern(int width, int height) {
  Image image = blank(width, height, {0, 0, 0});
  uint32_t state = 1;
  for (uint8_t& value : image.rgb) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<uint8_t>(state >> 24);
  }
  return image;
}

// The message of the Error that `call` throws; "" with a failed test when it throws none.
template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

// A new, empty folder, removed with its content at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = ::testing::TempDir() + "tarflow_images_XXXXXX";
    if (!::mkdtemp(name.data())) throw Error("cannot make a temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tarflow::images
