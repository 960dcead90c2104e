#include "framework/images/batch_file.h"

#include <gmock/gmock.h>

#include "framework/images/folder.h"
#include "framework/images/load.h"
#include "framework/images/png.h"
#include "framework/images/resize.h"
#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

fs::path batch(const std::string& name) { return fixtures() / "batches" / name; }

// Image `n` of fixtures/make_batches.py.
Image expected_image(int n, int height, int width) {
  Image image = blank(width, height, {0, 0, 0});
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c)
        image.row(y)[3 * x + c] = static_cast<uint8_t>(n * 31 + y * 7 + x * 3 + c * 11 + n * y * x);
    }
  }
  return image;
}

TEST(BatchFile, AdmHasImagesAndLabelsFromZero) {
  BatchFile file(batch("adm.npz"));
  ASSERT_EQ(file.count(), 5);
  for (const int n : {0, 1, 4, 2, 2, 0}) EXPECT_EQ(file.read(n), expected_image(n, 4, 6)) << n;
  EXPECT_EQ(file.labels(), (std::vector<int>{2, 0, 1, 0, 2}));
  EXPECT_THAT(error_of([&] { file.read(5); }), HasSubstr("no row 5 of 5"));
}

TEST(BatchFile, ImageNetHasPlanesAndLabelsFromOne) {
  for (const char* name : {"imagenet.npz", "planes.npz"}) {
    BatchFile file(batch(name));
    ASSERT_EQ(file.count(), 5);
    for (const int n : {3, 0, 4}) EXPECT_EQ(file.read(n), expected_image(n, 4, 4)) << name << n;
    EXPECT_EQ(file.labels(), (std::vector<int>{2, 0, 1, 0, 2})) << name;
  }
}

TEST(BatchFile, CompressedRowsAreReadInAnyOrder) {
  BatchFile file(batch("adm_deflated.npz"));
  for (const int n : {0, 1, 30, 69, 68, 2, 69}) EXPECT_EQ(file.read(n), expected_image(n, 4, 6));
  EXPECT_EQ(file.labels(), std::nullopt);
}

TEST(BatchFile, WhatIsNoImagesIsNamed) {
  for (const auto& [name, words] : std::vector<std::pair<std::string, std::string>>{
           {"floats.npz", "`arr_0` holds float32, not uint8"},
           {"bools.npz", "`|b1`"},
           {"grey.npz", "`arr_0` of shape (5, 4, 6)"},
           {"four_channels.npz", "`arr_0` of shape (5, 4, 6, 4)"},
           {"no_square.npz", "`data` of shape (5, 45)"},
           {"empty.npz", "`arr_0` of shape (0, 4, 6, 3)"},
           {"fortran.npz", "column by column"},
           {"objects.npz", "`|O`"},
           {"others.npz", "neither `arr_0` nor `data`"}}) {
    EXPECT_THAT(error_of([&] { BatchFile file(batch(name)); }),
                AllOf(HasSubstr(name), HasSubstr(words)));
  }
  for (const auto& [name, words] : std::vector<std::pair<std::string, std::string>>{
           {"few_labels.npz", "`arr_1` has 4 labels for 5 images"},
           {"negative_label.npz", "`arr_1` holds -1"},
           {"half_label.npz", "`arr_1` holds 2.5"},
           {"label_zero.npz", "`labels` holds 0"}}) {
    EXPECT_THAT(error_of([&] { BatchFile(batch(name)).labels(); }),
                AllOf(HasSubstr(name), HasSubstr(words)));
  }
}

TEST(BatchFile, CutOrChangedFilesAreErrors) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "cut.npz";
  for (const char* name : {"adm.npz", "adm_deflated.npz"}) {
    const std::string whole = read_file(batch(name));
    for (size_t length = 0; length < whole.size(); length += 37) {
      write_file(path, whole.substr(0, length));
      EXPECT_THAT(error_of([&] { BatchFile(path).read(0); }), HasSubstr("cut.npz"));
    }
  }
}

// The rows are stored as they are, so that the checksum alone tells.
TEST(BatchFile, AChangedPixelIsAnErrorOnceAllIsRead) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "changed.npz";
  std::string changed = read_file(batch("adm.npz"));
  const size_t pixel = changed.find("\x93NUMPY") + 128 + 5;
  changed[pixel] = static_cast<char>(changed[pixel] ^ 1);
  write_file(path, changed);
  EXPECT_THAT(error_of([&] {
                BatchFile file(path);
                for (int64_t row = 0; row < file.count(); ++row) file.read(row);
              }),
              HasSubstr("changed.npz"));
}

TEST(BatchFile, StatisticsAreNoImages) {
  EXPECT_TRUE(holds_images(batch("adm.npz")));
  EXPECT_TRUE(holds_images(batch("imagenet.npz")));
  EXPECT_TRUE(holds_images(batch("floats.npz"))) << "so that the wrong type is told";
  EXPECT_FALSE(holds_images(batch("statistics.npz")));
  EXPECT_FALSE(holds_images(batch("others.npz")));
  EXPECT_FALSE(holds_images(batch("gone.npz")));
  EXPECT_FALSE(holds_images(fixtures()));
  EXPECT_FALSE(holds_images(fixtures() / "expected.json"));
}

TEST(BatchListing, AFileOrAFolderOfThem) {
  const ImageFolder file = list_images(batch("adm.npz"));
  EXPECT_THAT(file.classes, ElementsAre("0", "1", "2"));
  ASSERT_EQ(file.files.size(), 5u);
  EXPECT_EQ(file.files[3], (ImageFile{batch("adm.npz").string(), 0, 3}));

  const TemporaryFolder folder;
  fs::copy(batch("adm.npz"), folder.path() / "b.npz");
  fs::copy(batch("imagenet.npz"), folder.path() / "a.npz");
  write_file(folder.path() / "README.md", "");
  write_file(folder.path() / ".cache/c.npz", "");
  const ImageFolder listed = list_images(folder.path());
  ASSERT_EQ(listed.files.size(), 10u);
  EXPECT_EQ(listed.files[0], (ImageFile{(folder.path() / "a.npz").string(), 2, 0}));
  EXPECT_EQ(listed.files[9], (ImageFile{(folder.path() / "b.npz").string(), 2, 4}));
  EXPECT_THAT(warnings_of(listed), IsEmpty());
  const std::vector<ImageFile> chosen = select_balanced(listed, 3);
  EXPECT_THAT((std::vector<int>{chosen[0].label, chosen[1].label, chosen[2].label}),
              ElementsAre(2, 0, 1));
}

TEST(BatchListing, LabelsInSomeFilesOnlyAreAnError) {
  const TemporaryFolder folder;
  fs::copy(batch("adm.npz"), folder.path() / "a.npz");
  fs::copy(batch("adm_deflated.npz"), folder.path() / "b.npz");
  EXPECT_THAT(error_of([&] { list_images(folder.path()); }),
              AllOf(HasSubstr("b.npz has no labels"), HasSubstr("a.npz")));
}

TEST(BatchListing, BesideImagesTheyAreNotRead) {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "x");
  fs::copy(batch("adm.npz"), folder.path() / "x/a.npz");
  EXPECT_THAT(error_of([&] { list_images(folder.path()); }),
              AllOf(HasSubstr("no images in the class folder"), HasSubstr("a.npz")));
  write_png(folder.path() / "x/a.png", pattern(4, 4));
  const ImageFolder listed = list_images(folder.path());
  EXPECT_EQ(listed.files.size(), 1u);
  EXPECT_THAT(warnings_of(listed), ElementsAre(HasSubstr("1 .npz")));
  fs::copy(batch("adm.npz"), folder.path() / "b.npz");
  EXPECT_THAT(error_of([&] { list_images(folder.path()); }), HasSubstr("layout: flat"));
  EXPECT_EQ(list_images(folder.path(), Layout::kFlat).files.size(), 5u);
  EXPECT_EQ(list_images(folder.path(), Layout::kClasses).files.size(), 1u);
  fs::remove(folder.path() / "x/a.png");
  EXPECT_THAT(error_of([&] { list_images(folder.path()); }), HasSubstr("npz files of its own"));
}

TEST(BatchListing, LayoutsAreOfFolders) {
  EXPECT_THAT(error_of([&] { list_images(batch("adm.npz"), Layout::kFlat); }),
              HasSubstr("a layout is of a folder"));
}

TEST(BatchListing, ContentIsThatOfTheFiles) {
  EXPECT_EQ(folder_content_hash(batch("adm.npz")), sha256_file(batch("adm.npz")));
  const TemporaryFolder folder;
  fs::copy(batch("adm.npz"), folder.path() / "a.npz");
  const std::string hash = folder_content_hash(folder.path());
  write_file(folder.path() / "README.md", "");
  EXPECT_EQ(folder_content_hash(folder.path()), hash);
  fs::copy(batch("imagenet.npz"), folder.path() / "b.npz");
  EXPECT_NE(folder_content_hash(folder.path()), hash);
}

TEST(BatchLoading, RowsComeInOrderForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  fs::copy(batch("adm_deflated.npz"), folder.path() / "a.npz");
  const std::vector<ImageFile> files = list_images(folder.path()).files;
  ASSERT_EQ(files.size(), 70u);
  for (const int threads : {1, 3, 20}) {
    int next = 0;
    load_images(files, {.size = 4, .threads = threads}, [&](int64_t index, Image image) {
      EXPECT_EQ(index, next);
      EXPECT_EQ(image, preprocess(expected_image(next++, 4, 6), 4));
    });
    EXPECT_EQ(next, 70);
  }
}

TEST(BatchLoading, ADamagedFileEndsTheLoading) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a.npz";
  fs::copy(batch("adm.npz"), path);
  const std::vector<ImageFile> files = list_images(path).files;
  write_file(path, "damaged meanwhile");
  EXPECT_THAT(error_of([&] {
                load_images(files, {.size = 4, .max_unreadable = 100}, [](int64_t, Image) {});
              }),
              HasSubstr("a.npz"));
}

}  // namespace
}  // namespace tarflow::images
