#include "framework/images/png.h"

#include <gmock/gmock.h>

#include "framework/images/decode.h"
#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

using ::testing::HasSubstr;

TEST(Png, WhatIsWrittenReadsBack) {
  for (const auto& [width, height] : {std::pair{1, 1}, {37, 29}, {300, 2}}) {
    const Image image = pattern(width, height);
    EXPECT_EQ(decode(encode_png(image), "encoded"), image);
  }
}

TEST(Png, EqualImagesGiveEqualBytes) {
  EXPECT_EQ(encode_png(pattern(9, 9)), encode_png(pattern(9, 9)));
}

TEST(Png, WritesIntoNewFoldersAndLeavesNothingBeside) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a/b/image.png";
  write_png(path, pattern(5, 4));
  EXPECT_EQ(read_image(path), pattern(5, 4));
  write_png(path, pattern(4, 5));
  EXPECT_EQ(read_image(path), pattern(4, 5));
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path.parent_path()))
    ++files;
  EXPECT_EQ(files, 1);
}

TEST(Png, ErrorsNameTheFile) {
  const TemporaryFolder folder;
  write_file(folder.path() / "file", "x");
  EXPECT_THAT(error_of([&] { write_png(folder.path() / "file/image.png", pattern(2, 2)); }),
              HasSubstr((folder.path() / "file").string()));
  EXPECT_THAT(error_of([] { encode_png(Image{}); }), HasSubstr("without pixels"));
}

}  // namespace
}  // namespace tarflow::images
