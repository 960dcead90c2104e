#include "framework/job/content.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "tests/support/house.h"

namespace tarflow::job {
namespace {

namespace fs = std::filesystem;

// Remembers what was written a moment ago as well.
ContentHasher remembering(const fs::path& cache) { return ContentHasher(cache, {}, -1); }

// Asks once and keeps the answer.
std::string remembered_hash(const fs::path& file, const fs::path& cache) {
  ContentHasher hasher = remembering(cache);
  std::string hash = hasher.hash(file);
  hasher.save();
  return hash;
}

TEST(ContentHasher, FileIsItsSha256) {
  const Scratch folder;
  write_file(folder / "a", "content");
  EXPECT_EQ(ContentHasher("").hash(folder / "a"), sha256_hex("content"));
  EXPECT_THROW(ContentHasher("").hash(folder / "absent"), Error);
}

TEST(ContentHasher, FolderIsNamesAndContents) {
  const Scratch folder;
  const auto fill = [&](const std::string& name) {
    write_file(folder / (name + "/cats/0.png"), "nought");
    write_file(folder / (name + "/cats/1.png"), "one");
    write_file(folder / (name + "/dogs/2.png"), "two");
  };
  const auto hash = [&](const std::string& name) { return ContentHasher("").hash(folder / name); };
  fill("a");
  fill("b");
  EXPECT_EQ(hash("a"), hash("b"));
  write_file(folder / "b/.hidden", "x");
  write_file(folder / "b/.cache/x", "x");
  EXPECT_EQ(hash("a"), hash("b")) << "hidden files are no content";
  write_file(folder / "b/dogs/2.png", "tw0");
  EXPECT_NE(hash("a"), hash("b"));
  fill("c");
  fs::rename(folder / "c/cats/1.png", folder / "c/dogs/1.png");
  EXPECT_NE(hash("a"), hash("c"));
}

TEST(ContentHasher, AFolderIsWhatIsReadOfIt) {
  const Scratch folder;
  write_file(folder / "a/1.png", "one");
  const auto hash = [&](images::Layout layout = images::Layout::kAuto) {
    return ContentHasher("").hash(folder / "a", layout);
  };
  const std::string before = hash();
  EXPECT_EQ(before, images::folder_content_hash(folder / "a"));
  for (const char* name : {"README.md", "Thumbs.db", "LICENSE", ".cache/2.png", "__MACOSX/3.png"})
    write_file(folder / "a" / name, "x");
  EXPECT_EQ(hash(), before);
  write_file(folder / "a/thumbs/1.png", "small");
  EXPECT_THROW(hash(), Error);
  EXPECT_EQ(hash(images::Layout::kFlat), before);
  EXPECT_NE(hash(images::Layout::kClasses), before);
}

TEST(ContentHasher, RemembersEachLayoutByItself) {
  const Scratch folder;
  write_file(folder / "a/1.png", "one");
  write_file(folder / "a/c/2.png", "two");
  std::string flat, classes;
  for (int run = 0; run < 2; ++run) {
    ContentHasher hasher = remembering(folder / "cache");
    flat = hasher.hash(folder / "a", images::Layout::kFlat);
    classes = hasher.hash(folder / "a", images::Layout::kClasses);
    EXPECT_NE(flat, classes);
    hasher.save();
  }
  EXPECT_EQ(flat, images::folder_content_hash(folder / "a", images::Layout::kFlat));
}

// What an earlier version remembered of a folder was of other files.
TEST(ContentHasher, ForgetsFoldersHashedInAnEarlierWay) {
  const Scratch folder;
  write_file(folder / "a/1.png", "one");
  remembered_hash(folder / "a", folder / "cache");
  Json known = read_json_file(folder / "cache/contents.json");
  ASSERT_EQ(known.size(), 1u);
  Json earlier;
  earlier["content " + (folder / "a").string()] = {{"stamp", known.begin().value()["stamp"]},
                                                   {"value", "of other files"}};
  write_json_file(folder / "cache/contents.json", earlier);
  EXPECT_EQ(ContentHasher(folder / "cache").hash(folder / "a"),
            images::folder_content_hash(folder / "a"));
}

TEST(ContentHasher, RemembersUntilTheStampChanges) {
  const Scratch folder;
  const fs::path file = folder / "a", cache = folder / "cache";
  write_file(file, "content");
  remembered_hash(file, cache);
  // A cache that says otherwise proves that the file is not read again.
  Json known = read_json_file(cache / "contents.json");
  ASSERT_EQ(known.size(), 1u);
  known.begin().value()["value"] = "remembered";
  write_json_file(cache / "contents.json", known);
  EXPECT_EQ(remembering(cache).hash(file), "remembered");
  fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_EQ(remembering(cache).hash(file), sha256_hex("content"));
}

TEST(ContentHasher, NoticesAnotherFileOfEqualSizeAndTime) {
  const Scratch folder;
  const fs::path file = folder / "a", images = folder / "images", cache = folder / "cache";
  write_file(file, "one");
  write_file(images / "a.png", "one");
  const std::string image = remembered_hash(images, cache);
  ASSERT_EQ(remembered_hash(file, cache), sha256_hex("one"));
  for (const fs::path& old : {file, images / "a.png"}) {
    write_file(folder / "new", "two");
    fs::last_write_time(folder / "new", fs::last_write_time(old));
    fs::rename(folder / "new", old);
  }
  EXPECT_EQ(remembered_hash(file, cache), sha256_hex("two"));
  EXPECT_NE(remembered_hash(images, cache), image);
}

TEST(ContentHasher, NoticesAFileWrittenInPlaceWithItsTimePutBack) {
  const Scratch folder;
  const fs::path file = folder / "a", cache = folder / "cache";
  write_file(file, "one");
  const auto time = fs::last_write_time(file);
  ASSERT_EQ(remembered_hash(file, cache), sha256_hex("one"));
  const std::string stamp = content_stamp(file);
  // File systems count time in ticks of some milliseconds: writes until one is over.
  for (int i = 0; i < 1000 && content_stamp(file) == stamp; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::ofstream(file) << "two";
    fs::last_write_time(file, time);
  }
  EXPECT_EQ(remembered_hash(file, cache), sha256_hex("two"));
}

TEST(ContentHasher, WhatWasJustWrittenIsNotRemembered) {
  const Scratch folder;
  write_file(folder / "a", "content");
  ContentHasher hasher(folder / "cache");
  hasher.hash(folder / "a");
  hasher.save();
  EXPECT_FALSE(fs::exists(folder / "cache/contents.json"));
}

TEST(ContentHasher, DamagedCacheIsAnEmptyOne) {
  const Scratch folder;
  write_file(folder / "a", "content");
  for (const char* text : {"{not json", "[1, 2]", "3", ""}) {
    write_file(folder / "cache/contents.json", text);
    EXPECT_EQ(ContentHasher(folder / "cache").hash(folder / "a"), sha256_hex("content")) << text;
  }
  const std::string key = "content " + (folder / "a").string();
  for (const Json& entry : {Json(3), Json{{"stamp", 1}}, Json{{"stamp", "x"}, {"value", 5}}}) {
    write_json_file(folder / "cache/contents.json", {{key, entry}});
    EXPECT_EQ(ContentHasher(folder / "cache").hash(folder / "a"), sha256_hex("content")) << entry;
  }
}

}  // namespace
}  // namespace tarflow::job
