#include "framework/images/batches.h"

#include <gmock/gmock.h>

#include <set>

#include "framework/images/decode.h"
#include "framework/images/png.h"
#include "framework/images/resize.h"
#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// `count` images; those whose number is in `broken` are no images.
std::vector<ImageFile> make_images(const TemporaryFolder& folder, int count,
                                   const std::set<int>& broken = {}) {
  std::vector<ImageFile> files;
  for (int i = 0; i < count; ++i) {
    files.push_back({folder.path() / (std::to_string(1000 + i) + ".png"), -1});
    if (broken.contains(i)) {
      write_file(files.back().path, "no image");
    } else {
      write_png(files.back().path, pattern(8 + i % 5, 9));
    }
  }
  return files;
}

std::vector<Batch> all_of(Batches& batches) {
  std::vector<Batch> all;
  while (std::optional<Batch> batch = batches.next()) all.push_back(std::move(*batch));
  return all;
}

TEST(Batches, HoldTheSameFilesHoweverTheyAreDealt) {
  const TemporaryFolder folder;
  const std::vector<ImageFile> files = make_images(folder, 23, {5, 22});
  const LoadOptions load{.size = 8, .threads = 3, .max_unreadable = 2};
  Batches whole(files, load, {.size = 4});
  const std::vector<Batch> expected = all_of(whole);
  ASSERT_EQ(expected.size(), 6u);
  EXPECT_THAT(expected[1].files, ElementsAre(4, 6, 7)) << "a file that is left out moves no other";
  EXPECT_THAT(expected[5].files, ElementsAre(20, 21));
  EXPECT_EQ(expected[1].images[1], preprocess(read_image(files[6].path), 8));
  EXPECT_EQ(whole.unreadable().size(), 2u);
  for (int64_t ranks = 2; ranks <= 8; ++ranks) {
    for (int64_t rank = 0; rank < ranks; ++rank) {
      Batches part(files, load, {.size = 4, .first = rank, .step = ranks});
      int64_t index = rank;
      for (const Batch& batch : all_of(part)) {
        EXPECT_EQ(batch.index, index);
        EXPECT_EQ(batch.files, expected[static_cast<size_t>(index)].files);
        EXPECT_EQ(batch.images, expected[static_cast<size_t>(index)].images);
        index += ranks;
      }
      EXPECT_GE(index, 6);
    }
  }
}

TEST(Batches, OneWithoutReadableFilesIsEmpty) {
  const TemporaryFolder folder;
  const std::vector<ImageFile> files = make_images(folder, 7, {2, 3, 6});
  Batches batches(files, {.size = 8, .max_unreadable = 3}, {.size = 2});
  const std::vector<Batch> all = all_of(batches);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_THAT(all[1].files, IsEmpty());
  EXPECT_THAT(all[2].files, ElementsAre(4, 5));
  EXPECT_THAT(all[3].files, IsEmpty());
  EXPECT_EQ(batches.unreadable().size(), 3u);
}

TEST(Batches, WhatEndsTheLoadingIsPassedOn) {
  const TemporaryFolder folder;
  const std::vector<ImageFile> files = make_images(folder, 9, {4});
  Batches batches(files, {.size = 8}, {.size = 2});
  EXPECT_THAT(error_of([&] { all_of(batches); }), HasSubstr("1004.png"));
  Batches other(files, {.size = 8}, {.size = 2, .first = 1, .step = 2});
  EXPECT_EQ(all_of(other).size(), 2u) << "files of other batches are not looked at";
  EXPECT_THROW(Batches(files, {.size = 8}, {.size = 0}), Error);
}

TEST(Batches, MayBeLeftHalfWay) {
  const TemporaryFolder folder;
  const std::vector<ImageFile> files = make_images(folder, 40);
  Batches batches(files, {.size = 8}, {.size = 1});
  EXPECT_EQ(batches.next()->index, 0);
}

}  // namespace
}  // namespace tarflow::images
