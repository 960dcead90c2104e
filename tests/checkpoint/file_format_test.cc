// Files that are not what their name says are told by what they are.
#include "framework/checkpoint/checkpoint.h"
#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

using ::testing::AllOf;
using testing::error_of;
using testing::fixture;
using ::testing::HasSubstr;

class FileFormat : public ::testing::Test {
 protected:
  std::string refusal(const std::string& bytes, const std::string& name = "a.pth") {
    write_file(folder_ / name, bytes);
    return error_of([&] { Checkpoint::open(folder_ / name); });
  }

  testing::TemporaryFolder folder_;
};

TEST_F(FileFormat, WhatDownloadsLeaveIsNamed) {
  EXPECT_THAT(refusal("<!DOCTYPE html><html>"),
              AllOf(HasSubstr("a.pth"), HasSubstr("HTML page"), HasSubstr("download")));
  EXPECT_THAT(refusal("\n  <HTML lang=\"en\"><head>"), HasSubstr("HTML page"));
  EXPECT_THAT(refusal("\xef\xbb\xbf<!-- page -->"), HasSubstr("HTML page"));
  EXPECT_THAT(refusal("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"),
              HasSubstr("XML"));
  EXPECT_THAT(refusal("{\"error\":\"Repository not found\"}"),
              AllOf(HasSubstr("JSON"), HasSubstr("Repository not found")));
  EXPECT_THAT(refusal("Entry not found"), AllOf(HasSubstr("text"), HasSubstr("Entry not found")));
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1234567\n"),
              AllOf(HasSubstr("Git LFS pointer"), HasSubstr("lfs pull")));
  EXPECT_THAT(refusal("", "a.safetensors"), HasSubstr("a.safetensors is an empty file"));
  EXPECT_THAT(refusal(std::string(4096, '\0')), HasSubstr("zeros"));
}

TEST_F(FileFormat, OtherFormatsAreNamed) {
  EXPECT_THAT(refusal("\x1f\x8b\x08 and more"), HasSubstr("gzip"));
  EXPECT_THAT(refusal("\x89HDF\r\n\x1a\n and more"), HasSubstr("HDF5"));
  EXPECT_THAT(refusal("\x93NUMPY and more"), HasSubstr("NumPy"));
  EXPECT_THAT(refusal(std::string("\x89PNG\r\n\x1a\n\0\0", 10)), HasSubstr("PNG"));
  EXPECT_THAT(refusal(std::string(257, 'x') + "ustar" + std::string(300, 'x')),
              AllOf(HasSubstr("tar archive"), HasSubstr("before 0.1.10")));
  EXPECT_THAT(refusal("{\"metadata\":{},\"weight_map\":{\"a\":\"model-00001-of-2.safetensors\"}}",
                      "model.safetensors.index.json"),
              AllOf(HasSubstr("several safetensors files"), HasSubstr("save_file")));
  EXPECT_THAT(refusal(std::string("\x01\x02\x03", 3)), HasSubstr("`\\x01\\x02\\x03`"));
}

TEST_F(FileFormat, ArchivesThatHoldSomethingElseAreNamed) {
  testing::write_zip(folder_ / "npz.pth", {{"mu.npy", "x"}, {"sigma.npy", "x"}});
  EXPECT_THAT(error_of([&] { Checkpoint::open(folder_ / "npz.pth"); }), HasSubstr("NumPy .npz"));
  testing::write_zip(folder_ / "outer.pth", {{"models/x.pth", "x"}});
  EXPECT_THAT(error_of([&] { Checkpoint::open(folder_ / "outer.pth"); }),
              AllOf(HasSubstr("around models/x.pth"), HasSubstr("unpack")));
  const std::string whole = read_file(fixture("zip_state_dict.pth"));
  EXPECT_THAT(refusal(whole.substr(0, whole.size() / 2)),
              AllOf(HasSubstr("its end is missing"), HasSubstr("download it again")));
}

TEST_F(FileFormat, FoldersAndAbsentFilesAreNamed) {
  EXPECT_THAT(error_of([&] { Checkpoint::open(folder_.path()); }), HasSubstr("it is a folder"));
  EXPECT_THAT(error_of([&] { Checkpoint::open(folder_ / "absent.pth"); }),
              AllOf(HasSubstr("absent.pth"), HasSubstr("no such file")));
}

}  // namespace
}  // namespace tarflow::checkpoint
