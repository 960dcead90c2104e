// Identity of settings and of file contents: SHA-256, in lower-case hexadecimal.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace tarflow {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(const void* data, size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  std::string hex();  // ends the hash; 64 characters

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
// Streams the file. Throws Error when it cannot be read.
std::string sha256_file(const std::filesystem::path& path);
// The first 16 characters: what points, jobs and folders are named by.
std::string short_hash(std::string_view text);

}  // namespace tarflow
