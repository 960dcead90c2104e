#include "framework/images/load.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "framework/images/decode.h"
#include "framework/images/png.h"
#include "framework/images/resize.h"
#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// `count` images of different sizes; those whose number is in `broken` are no images.
std::vector<ImageFile> make_images(const TemporaryFolder& folder, int count,
                                   const std::vector<int>& broken = {}) {
  std::vector<ImageFile> files;
  for (int i = 0; i < count; ++i) {
    files.push_back({folder.path() / (std::to_string(1000 + i) + ".png"), -1});
    if (std::count(broken.begin(), broken.end(), i)) {
      write_file(files[i].path, "no image");
    } else {
      write_png(files[i].path, pattern(9 + i % 7, 8 + i % 5));
    }
  }
  return files;
}

TEST(Load, ImagesComeInOrderForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  const std::vector<ImageFile> files = make_images(folder, 60);
  for (const int threads : {0, 1, 2, 7, 100}) {
    int64_t next = 0;
    const auto unreadable =
        load_images(files, {.size = 8, .threads = threads}, [&](int64_t index, Image image) {
          EXPECT_EQ(index, next++);
          EXPECT_EQ(image, preprocess(read_image(files[index].path), 8)) << index;
        });
    EXPECT_EQ(next, 60);
    EXPECT_THAT(unreadable, IsEmpty());
  }
}

TEST(Load, NoFilesGiveNothing) {
  EXPECT_THAT(load_images({}, {.size = 8}, [](int64_t, Image) { FAIL(); }), IsEmpty());
}

TEST(Load, UnreadableFilesAreLeftOutAndReturned) {
  const TemporaryFolder folder;
  std::vector<ImageFile> files = make_images(folder, 10, {2, 7});
  files.push_back({folder.path() / "gone.png", -1});
  std::vector<int64_t> used;
  const auto unreadable = load_images(files, {.size = 8, .threads = 3, .max_unreadable = 3},
                                      [&](int64_t index, Image) { used.push_back(index); });
  EXPECT_THAT(used, ElementsAre(0, 1, 3, 4, 5, 6, 8, 9));
  ASSERT_EQ(unreadable.size(), 3u);
  EXPECT_EQ(unreadable[0].path, files[2].path);
  EXPECT_EQ(unreadable[1].path, files[7].path);
  EXPECT_EQ(unreadable[2].path, files[10].path);
  for (const UnreadableFile& file : unreadable)
    EXPECT_THAT(file.reason, HasSubstr(file.path.string()));
}

TEST(Load, MoreUnreadableFilesThanAllowedAreFatalAndNamed) {
  const TemporaryFolder folder;
  const std::vector<ImageFile> files = make_images(folder, 10, {2, 5, 7, 9});
  int64_t used = 0;
  const auto load = [&](int64_t allowed) {
    used = 0;
    return error_of([&] {
      load_images(files, {.size = 8, .threads = 2, .max_unreadable = allowed},
                  [&](int64_t, Image) { ++used; });
    });
  };
  EXPECT_THAT(
      load(1),
      AllOf(HasSubstr(files[2].path), HasSubstr(files[5].path), Not(HasSubstr(files[7].path)),
            HasSubstr("2 image files cannot be read, and at most 1 may be left out")));
  EXPECT_EQ(used, 4);  // 0, 1, 3, 4: what came before is the same for any number of threads
  EXPECT_THAT(load(0), HasSubstr("1 image files cannot be read, and at most 0"));
  EXPECT_EQ(used, 2);
}

TEST(Load, ManyUnreadableFilesAreCountedNotAllNamed) {
  const TemporaryFolder folder;
  std::vector<ImageFile> files;
  for (int i = 0; i < 50; ++i) files.push_back({folder.path() / (std::to_string(i) + ".jpg"), -1});
  const std::string message = error_of(
      [&] { load_images(files, {.size = 8, .max_unreadable = 30}, [](int64_t, Image) {}); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("/19.jpg"), Not(HasSubstr("/20.jpg")), HasSubstr("31 image files")));
}

TEST(Load, AnErrorOfTheUserEndsTheLoading) {
  const TemporaryFolder folder;
  const std::vector<ImageFile> files = make_images(folder, 40);
  int64_t used = 0;
  EXPECT_THROW(load_images(files, {.size = 8, .threads = 4},
                           [&](int64_t index, Image) {
                             ++used;
                             if (index == 3) throw std::runtime_error("enough");
                           }),
               std::runtime_error);
  EXPECT_EQ(used, 4);
}

TEST(Load, AnImpossibleSizeIsAnErrorAtOnce) {
  EXPECT_THAT(error_of([] { load_images({}, {.size = 0}, [](int64_t, Image) {}); }),
              HasSubstr("0 pixels wide"));
}

}  // namespace
}  // namespace tarflow::images
