#include "framework/core/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "framework/core/file.h"

namespace tarflow {
namespace {

using testing::HasSubstr;

std::string name_of(const std::string& bytes) { return kind_of(bytes, bytes.size()).name; }

// A zip archive as far as its first entry's name.
std::string zip_of(const std::string& entry) {
  std::string bytes = "PK\3\4" + std::string(26, '\0');
  bytes[26] = static_cast<char>(entry.size());
  return bytes + entry + "content";
}

TEST(FileKind, FollowsFromTheFirstBytes) {
  using namespace std::string_literals;
  const std::vector<std::pair<std::string, std::string>> kinds = {
      {"\x89HDF\r\n\x1a\n more", "an HDF5 file"},
      {std::string(1024, 'x') + "\x89HDF\r\n\x1a\n", "an HDF5 file"},
      {"\x93NUMPY\1\0"s, "a NumPy array (.npy)"},
      {zip_of("mu.npy"), "a NumPy file (.npz)"},
      {zip_of("archive/data.pkl"), "a PyTorch file"},
      {zip_of("readme.txt"), "a zip archive"},
      {"PK\5\6"s + std::string(18, '\0'), "an empty zip archive"},
      {"\x80\2]q\0."s, "a pickle of Python or PyTorch"},
      {"\xff\xd8\xff\xe0", "a JPEG image"},
      {"\x89PNG\r\n\x1a\n", "a PNG image"},
      {"RIFF1234WEBPVP8 ", "a WebP image"},
      {"BM\x9a\0\0\0"s, "a BMP image"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer file"},
      {"\n <!DOCTYPE html><html>", "an HTML page"},
      {"\xef\xbb\xbf<html lang=en>", "an HTML page"},
      {"<BODY>not found", "an HTML page"},
      {"<!-- page -->", "an HTML page"},
      {"<?xml version='1.0'?>", "an XML file"},
      {"{\"mu\": [1]}", "a JSON file"},
      {"mu,sigma\n1,2\n", "a CSV file"},
      {"1;2\n", "a CSV file"},
      {"just words\n", "a text file"},
      {"BMW, Audi\n", "a CSV file"},
      {"\x1f\x8b\x08", "a gzip archive"},
      {std::string(257, 'x') + "ustar", "a tar archive"},
      {"\x0c\0\0\0\0\0\0\0{\"a\": [1, 2]}"s, "a safetensors file"},
      {"", "an empty file"},
      {std::string(4096, '\0'), "a file that begins with zeros: it was not written to its end"},
      {"\1\2\3\4", ""}};
  for (const auto& [bytes, name] : kinds) EXPECT_EQ(name_of(bytes), name) << bytes;
}

TEST(FileKind, NoStartOfAFileIsTooShort) {
  const std::string bytes = zip_of("mu.npy");
  for (size_t length = 1; length < bytes.size(); ++length)
    name_of(bytes.substr(0, length));  // reads nothing beyond its end
  EXPECT_EQ(name_of(bytes.substr(0, 4)), "a zip archive");
}

TEST(FileKind, ErrorsNameTheFileWhatItIsAndWhatItShouldBe) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) /
                                     ("tarflow_kind_" + std::to_string(::getpid()) + ".h5");
  write_file(file, "a,b\n");
  EXPECT_THAT(
      wrong_kind(file, "HDF5", "make it").what(),
      testing::AllOf(HasSubstr(file.string() + " is a CSV file, not HDF5"), HasSubstr("make it")));
  write_file(file, "version https://git-lfs.github.com/spec/v1\n");
  EXPECT_THAT(wrong_kind(file, "HDF5", "make it").what(), HasSubstr("git lfs pull"));
  write_file(file, "\1\2\3");
  EXPECT_THAT(wrong_kind(file, "HDF5", "make it").what(),
              HasSubstr(file.string() + " is not HDF5"));
  std::filesystem::remove(file);
  EXPECT_EQ(kind_of_file(file).name, "");
}

}  // namespace
}  // namespace tarflow
