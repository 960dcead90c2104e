#include "framework/core/hash.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/hash_files.h"

namespace tarflow {
namespace {

// Examples of FIPS 180-2 and of NIST's SHA test vectors.
TEST(Sha256, NistVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(sha256_hex("\xbd"), "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b");
}

TEST(Sha256, PiecesHashAsTheWhole) {
  Sha256 hash;
  hash.update("ab");
  hash.update("");
  hash.update("c", 1);
  EXPECT_EQ(hash.hex(), sha256_hex("abc"));
}

TEST(Sha256, ShortHashesAreTheFirstSixteenCharacters) {
  EXPECT_EQ(short_hash("abc"), "ba7816bf8f01cfea");
}

TEST(Sha256, FilesAreStreamed) {
  const auto path =
      std::filesystem::temp_directory_path() / ("tarflow_hash_" + std::to_string(::getpid()));
  const std::string content(3'000'000, 'x');  // more than one buffer
  write_file(path, content);
  EXPECT_EQ(sha256_file(path), sha256_hex(content));
  std::filesystem::remove(path);
  EXPECT_THROW(sha256_file(path), Error);
}

TEST(Sha256, ManyFilesKeepTheirOrderAndUnreadableOnesAreEmpty) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("tarflow_hashes_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  std::vector<std::string> files, expected;
  for (int i = 0; i < 50; ++i) {
    files.push_back((folder / std::to_string(i)).string());
    expected.push_back(i == 7 ? "" : sha256_hex(std::string(static_cast<size_t>(i), 'x')));
    if (i != 7) write_file(files.back(), std::string(static_cast<size_t>(i), 'x'));
  }
  files.push_back(folder.string());  // no file
  expected.push_back("");
  EXPECT_EQ(sha256_files(files), expected);
  EXPECT_TRUE(sha256_files({}).empty());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tarflow
