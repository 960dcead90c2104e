// Sets of images for other programs: what a set of parts comes to, and what an interrupted or
// failed one is not taken for.
#include "framework/images/image_set.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>

#include "framework/checkpoint/npz.h"
#include "framework/images/batch_file.h"
#include "framework/images/decode.h"
#include "framework/images/png.h"
#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Image image_of(int64_t index) {
  Image image = pattern(6, 4);
  for (uint8_t& value : image.rgb) value = static_cast<uint8_t>(value + 13 * index);
  return image;
}

// Images 0 to 3 and 5 in two parts: number 4 is left out.
std::vector<SetPart> parts(bool labelled = true) {
  std::vector<Image> first = {image_of(0), image_of(1), image_of(2)};
  std::vector<Image> second = {image_of(3), image_of(5)};
  std::vector<SetPart> made = {
      part_of(first, labelled ? std::vector<int64_t>{7, 0, 7} : std::vector<int64_t>()),
      part_of(second, labelled ? std::vector<int64_t>{1, 2} : std::vector<int64_t>(), 3)};
  made[1].indices = {3, 5};
  return made;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(ImageSet, PngFilesAreNamedByTheImage) {
  const TemporaryFolder folder;
  const ImageSet set(folder.path(), "abc", SetFormat::kPng);
  const std::vector<SetPart> all = parts();
  for (const size_t number : {1u, 0u}) {  // in any order
    EXPECT_FALSE(set.has_part(static_cast<int64_t>(number)));
    set.write_part(static_cast<int64_t>(number), all[number]);
    EXPECT_TRUE(set.has_part(static_cast<int64_t>(number)));
    EXPECT_FALSE(set.whole());
  }
  set.finish(2);
  EXPECT_TRUE(set.whole());
  EXPECT_THAT(names_in(folder.path()), ElementsAre("abc", "abc.json"));
  EXPECT_THAT(names_in(set.path()), ElementsAre("000000.png", "000001.png", "000002.png",
                                                "000003.png", "000005.png", "labels.csv"));
  for (const int64_t index : {0, 1, 2, 3, 5}) {
    const std::string bytes = read_file(set.path() / ("00000" + std::to_string(index) + ".png"));
    EXPECT_EQ(decode(bytes, "x"), image_of(index)) << index;
  }
  EXPECT_EQ(read_file(set.path() / "labels.csv"),
            "file,label\n000000.png,7\n000001.png,0\n000002.png,7\n000003.png,1\n000005.png,2\n");
}

TEST(ImageSet, AnNpzIsThatOfAdm) {
  const TemporaryFolder folder;
  const ImageSet set(folder.path(), "abc", SetFormat::kNpz);
  const std::vector<SetPart> all = parts();
  set.write_part(0, all[0]);
  set.write_part(1, all[1]);
  set.finish(2);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("abc.json", "abc.npz"));
  const checkpoint::Npz file(set.path());
  EXPECT_THAT(file.names(), ElementsAre("arr_0", "arr_1"));
  BatchFile batch(set.path());
  ASSERT_EQ(batch.count(), 5);
  EXPECT_EQ(batch.labels(), (std::vector<int>{7, 0, 7, 1, 2}));
  int64_t row = 0;
  for (const int64_t index : {0, 1, 2, 3, 5}) EXPECT_EQ(batch.read(row++), image_of(index));
}

TEST(ImageSet, WithoutLabelsThereAreNone) {
  const TemporaryFolder folder;
  for (const SetFormat format : {SetFormat::kPng, SetFormat::kNpz}) {
    const ImageSet set(folder.path(), "abc", format);
    set.clear();
    set.write_part(0, parts(false)[0]);
    set.finish(1);
    EXPECT_EQ(set.whole(), true);
  }
  EXPECT_THAT(checkpoint::Npz(folder.path() / "abc.npz").names(), ElementsAre("arr_0"));
  EXPECT_FALSE(fs::exists(folder.path() / "abc")) << "cleared with the set of PNG files";
}

TEST(ImageSet, APartWithoutImagesHoldsNone) {
  const TemporaryFolder folder;
  for (const SetFormat format : {SetFormat::kPng, SetFormat::kNpz}) {
    const ImageSet set(folder.path(), format == SetFormat::kPng ? "png" : "npz", format);
    SetPart none = parts()[0];
    none.indices.clear();
    none.labels.clear();
    none.rgb.clear();
    set.write_part(0, none);
    set.write_part(1, parts()[1]);
    set.finish(2);
    EXPECT_TRUE(set.whole());
  }
  EXPECT_EQ(BatchFile(folder.path() / "npz.npz").count(), 2);
}

TEST(ImageSet, WhatIsMissingOrTooMuchIsNoSet) {
  const TemporaryFolder folder;
  const ImageSet set(folder.path(), "abc", SetFormat::kPng);
  set.write_part(0, parts()[0]);
  EXPECT_THAT(error_of([&] { set.finish(2); }), AllOf(HasSubstr("missing"), HasSubstr("--force")));
  set.write_part(1, parts()[1]);
  // A process that was killed leaves a part of a file under a name that nobody reads.
  write_file(set.path() / ".000003.png.77.part", "half");
  fs::copy_file(set.path() / "000000.png", set.path() / "000009.png");
  EXPECT_THAT(error_of([&] { set.finish(2); }), HasSubstr("holds 6 images, and 5 were written"));
  EXPECT_FALSE(set.whole());
  fs::remove(set.path() / "000009.png");
  set.finish(2);
  EXPECT_TRUE(set.whole());
  EXPECT_FALSE(fs::exists(set.path() / ".000003.png.77.part"));
  const ImageSet other(folder.path(), "abc", SetFormat::kNpz);
  EXPECT_FALSE(other.whole()) << "it was written in another format";
}

// A job that is stopped may go on with another `save_images`.
TEST(ImageSet, APartInOneFormatIsNoneInTheOther) {
  const TemporaryFolder folder;
  const ImageSet png(folder.path(), "abc", SetFormat::kPng),
      npz(folder.path(), "abc", SetFormat::kNpz);
  png.write_part(0, parts()[0]);
  EXPECT_TRUE(png.has_part(0));
  EXPECT_FALSE(npz.has_part(0));
  npz.write_part(1, parts()[1]);
  EXPECT_TRUE(npz.has_part(1));
  EXPECT_FALSE(png.has_part(1));
  EXPECT_THAT(error_of([&] { npz.finish(2); }), HasSubstr("images are missing"));
}

TEST(ImageSet, AFileThatIsCutShortIsNotPutTogether) {
  const TemporaryFolder folder;
  const ImageSet set(folder.path(), "abc", SetFormat::kNpz);
  set.write_part(0, parts()[0]);
  fs::resize_file(folder.path() / ".abc.parts/000000.rgb", 100);
  EXPECT_THAT(error_of([&] { set.finish(1); }), HasSubstr("is not whole"));
  EXPECT_FALSE(fs::exists(set.path()));
}

// A disk that takes no more than so many bytes a file, as a full one takes none.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, SIG_DFL);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
};

TEST(ImageSet, AFullDiskIsAnErrorWithARepairAndLeavesNoHalfFiles) {
  for (const SetFormat format : {SetFormat::kPng, SetFormat::kNpz}) {
    const TemporaryFolder folder;
    const ImageSet set(folder.path(), "abc", format);
    std::string message;
    {
      const FullDisk full(50);
      message = error_of([&] { set.write_part(0, parts()[0]); });
    }
    EXPECT_THAT(message, AllOf(HasSubstr("cannot write"), HasSubstr("make room on the disk")));
    EXPECT_FALSE(set.has_part(0));
    for (const auto& entry : fs::recursive_directory_iterator(folder.path()))
      EXPECT_TRUE(entry.is_directory()) << entry.path();
    set.write_part(0, parts()[0]);
    set.write_part(1, parts()[1]);
    set.finish(2);
    EXPECT_TRUE(set.whole());
  }
}

TEST(ImageSet, PointsWithTheSameImagesReferToThem) {
  const TemporaryFolder folder;
  const ImageSet set(folder.path(), "abc", SetFormat::kPng);
  set.write_part(0, parts()[0]);
  set.finish(1);
  const ImageSet same(folder.path(), "def", SetFormat::kPng);
  EXPECT_FALSE(same.whole());
  same.refer_to(set);
  EXPECT_TRUE(same.whole());
  EXPECT_EQ(read_json_file(folder.path() / "def.json").at("path"), "abc");
}

TEST(WriteSet, NeverMixesTwoSets) {
  const TemporaryFolder folder;
  const SetPart all = parts()[0];
  write_set(folder.path() / "new/set", all);
  EXPECT_THAT(names_in(folder.path() / "new/set"),
              ElementsAre("000000.png", "000001.png", "000002.png", "labels.csv"));
  EXPECT_THAT(error_of([&] { write_set(folder.path() / "new/set", all); }),
              HasSubstr("is there and is not empty"));
  write_set(folder.path() / "a.npz", all);
  EXPECT_EQ(BatchFile(folder.path() / "a.npz").count(), 3);
}

TEST(FastPng, HoldsTheSameImage) {
  const Image image = pattern(37, 21);
  EXPECT_EQ(decode(encode_png_fast(image), "x"), image);
}

}  // namespace
}  // namespace tarflow::images
