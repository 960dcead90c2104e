#include "framework/core/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "framework/core/error.h"

namespace tarflow {
namespace {
namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  FileTest() : folder_(fs::temp_directory_path() / ("tarflow_file_" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~FileTest() override { fs::remove_all(folder_); }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : fs::directory_iterator(folder_))
      result.push_back(entry.path().filename().string());
    return result;
  }

  fs::path folder_;
};

TEST_F(FileTest, WritesAndReadsBytes) {
  const std::string content("a\0b\r\n\xff", 6);
  write_file(folder_ / "new/folder/f", content);  // folders are made
  EXPECT_EQ(read_file(folder_ / "new/folder/f"), content);
  write_file(folder_ / "new/folder/f", "");
  EXPECT_EQ(read_file(folder_ / "new/folder/f"), "");
}

TEST_F(FileTest, ReadersNeverSeeHalfAFile) {
  const fs::path path = folder_ / "f";
  write_file(path, "old");
  write_aside(path, [&](const fs::path& aside) {
    EXPECT_EQ(aside.parent_path(), path.parent_path());  // renaming stays within the file system
    write_file(aside, "half");
    EXPECT_EQ(read_file(path), "old");
  });
  EXPECT_EQ(read_file(path), "half");
  EXPECT_EQ(names(), std::vector<std::string>{"f"});
}

TEST_F(FileTest, AWriterThatThrowsChangesNothing) {
  const fs::path path = folder_ / "f";
  write_file(path, "old");
  const auto fail = [](const fs::path& aside) {
    write_file(aside, "half");
    throw std::runtime_error("stop");
  };
  EXPECT_THROW(write_aside(path, fail), std::runtime_error);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"f"});
}

TEST_F(FileTest, ManyFilesAreWrittenAsOneIs) {
  write_files(folder_ / "new", {{"a", "1"}, {"b", std::string("x\0y", 3)}});
  EXPECT_EQ(read_file(folder_ / "new/a"), "1");
  EXPECT_EQ(read_file(folder_ / "new/b"), std::string("x\0y", 3));
  write_files(folder_ / "new", {{"a", "2"}});
  EXPECT_EQ(read_file(folder_ / "new/a"), "2");
  fs::create_directories(folder_ / "new/taken/inside");
  EXPECT_THROW(write_files(folder_ / "new", {{"c", "3"}, {"taken", "4"}}), Error);
  for (const auto& entry : fs::directory_iterator(folder_ / "new"))
    EXPECT_NE(entry.path().extension(), ".part") << entry.path();
}

TEST_F(FileTest, AWriterThatWritesNothingIsAnError) {
  EXPECT_THROW(write_aside(folder_ / "f", [](const fs::path&) {}), Error);
  EXPECT_TRUE(names().empty());
}

TEST_F(FileTest, WhatCannotBeReadOrWrittenIsNamed) {
  EXPECT_THROW(read_file(folder_ / "absent"), Error);
  EXPECT_THROW(read_file(folder_), Error);
  write_file(folder_ / "f", "x");
  EXPECT_THROW(write_file(folder_ / "f/below", "x"), Error);  // f is no folder
  fs::create_directories(folder_ / "taken/inside");
  EXPECT_THROW(write_file(folder_ / "taken", "x"), Error);  // a folder that is not empty
  EXPECT_TRUE(fs::is_directory(folder_ / "taken"));
}

TEST_F(FileTest, AFullDiskIsSaidWithTheFileAndARepair) {
  write_file(folder_ / "f", "old");
  const auto repair_of_full = [&](const auto& write) {
    fs::create_symlink("/dev/full", aside_of(folder_ / "f", ::getpid()));
    try {
      write();
    } catch (const Error& failure) {
      EXPECT_EQ(failure.problems().front().what,
                "cannot write " + (folder_ / "f").string() + ": No space left on device");
      return failure.problems().front().repair;
    }
    return std::string("it was written");
  };
  const std::string large(1'000'000, 'x');  // written at once, a small text when it is closed
  for (const std::string& text : {std::string("new"), large}) {
    EXPECT_THAT(repair_of_full([&] { write_file(folder_ / "f", text); }),
                ::testing::HasSubstr("make room"));
    EXPECT_THAT(repair_of_full([&] {
                  write_files(folder_, {{"f", text}});
                }),
                ::testing::HasSubstr("make room"));
  }
  EXPECT_EQ(read_file(folder_ / "f"), "old");
}

}  // namespace
}  // namespace tarflow
