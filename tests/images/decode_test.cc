#include "framework/images/decode.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// An image, or that the bytes were refused; anything else (a crash, another exception) fails the
// test.
enum class Outcome { kImage, kError };

Outcome outcome(std::string_view bytes, const std::string& name) {
  try {
    const Image image = decode(bytes, name);
    EXPECT_EQ(image.rgb.size(), size_t{3} * image.width * image.height) << name;
    return Outcome::kImage;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), StartsWith(name));
    return Outcome::kError;
  }
}

std::vector<fs::path> good_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fixtures() / "good"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// JPEG: grey, three samplings, progressive, CMYK, YCCK, RGB, restarts, EXIF orientation, one pixel.
// PNG: every colour type and depth, interlaced or not, palettes too short, transparency, gamma,
// filters. Names that lie.
TEST(Decode, EveryFixtureEqualsPillowInEveryBit) {
  const std::string pixels = read_file(fixtures() / "expected.rgb");
  const Json files = expected().at("files");
  EXPECT_EQ(files.size(), good_files().size());
  size_t offset = 0;
  for (const Json& file : files) {
    const std::string name = file.at("name");
    SCOPED_TRACE(name);
    const Image image = read_image(fixtures() / "good" / name);
    ASSERT_EQ(image.width, file.at("width"));
    ASSERT_EQ(image.height, file.at("height"));
    const auto* want = reinterpret_cast<const uint8_t*>(pixels.data()) + offset;
    offset += image.rgb.size();
    ASSERT_LE(offset, pixels.size());
    EXPECT_TRUE(std::equal(image.rgb.begin(), image.rgb.end(), want));
  }
  EXPECT_EQ(offset, pixels.size());
}

TEST(Decode, BadFilesAreNamedWithWhatIsWrong) {
  const std::map<std::string, std::string> reasons = {
      {"animated.gif", "it is a GIF image, not a JPEG or PNG"},
      {"animated.png", "an animated PNG of 2 frames cannot be read"},
      {"animated.webp", "it is a WebP image, not a JPEG or PNG"},
      {"bitmap.bmp", "it is a BMP image, not a JPEG or PNG"},
      {"empty.jpg", "the file is empty"},
      {"half.jpg", "the JPEG data are truncated"},
      {"half.png", "the PNG data are truncated"},
      {"huge.jpg",
       "the image claims 32768 x 32768 pixels, more than the 178956970 that are accepted"},
      {"huge.png",
       "the image claims 65536 x 65536 pixels, more than the 178956970 that are accepted"},
      {"tagged.tif", "it is a TIFF image, not a JPEG or PNG"},
      {"text.png", "it is a text file, not a JPEG or PNG"},
      {"too_little_data.png", "the PNG data are truncated"},
      {"webp_named.jpg", "it is a WebP image, not a JPEG or PNG"},
      {"wrong_checksum.png", "IDAT: "},
  };
  for (const auto& entry : fs::directory_iterator(fixtures() / "bad")) {
    const std::string name = entry.path().filename();
    ASSERT_TRUE(reasons.count(name)) << name;
    EXPECT_THAT(error_of([&] { read_image(entry.path()); }),
                AllOf(StartsWith(entry.path().string() + ": "), HasSubstr(reasons.at(name))));
  }
}

TEST(Decode, MissingFileAndFolderAreErrors) {
  EXPECT_THAT(error_of([] { read_image("no/such.jpg"); }), HasSubstr("no/such.jpg"));
  EXPECT_THAT(error_of([] { read_image(fixtures()); }), HasSubstr("it is a folder"));
}

// Whether data end early is decided as in Pillow: a JPEG may lack what follows its last row, a PNG
// nothing.
TEST(Decode, TruncatedAtEveryByteIsAnErrorOrTheWholeImage) {
  for (const fs::path& path : good_files()) {
    SCOPED_TRACE(path.string());
    const std::string bytes = read_file(path);
    const Image whole = decode(bytes, "whole");
    const bool jpeg = bytes.starts_with("\xff\xd8");
    for (size_t size = 0; size < bytes.size(); ++size) {
      const std::string part = bytes.substr(0, size);
      if (outcome(part, "part") == Outcome::kError) continue;
      EXPECT_TRUE(jpeg) << size;
      EXPECT_EQ(decode(part, "part"), whole) << size;
    }
    EXPECT_EQ(outcome(bytes.substr(0, bytes.size() / 2), "half"), Outcome::kError);
  }
}

TEST(Decode, FlippedBitsNeverCrash) {
  std::mt19937 random(1);
  int images = 0, errors = 0;
  for (const fs::path& path : good_files()) {
    const std::string bytes = read_file(path);
    for (int round = 0; round < 200; ++round) {
      std::string damaged = bytes;
      for (int flip = 0; flip <= round % 4; ++flip) {
        damaged[random() % damaged.size()] ^= static_cast<char>(1u << (random() % 8));
      }
      ++(outcome(damaged, path.string()) == Outcome::kImage ? images : errors);
    }
  }
  // Both happen, or the damage would prove nothing.
  EXPECT_GT(images, 100);
  EXPECT_GT(errors, 100);
}

TEST(Decode, RandomBytesAfterAGoodStartAreErrors) {
  std::mt19937 random(2);
  const std::string starts[] = {"\xff\xd8\xff", std::string("\x89PNG\r\n\x1a\n", 8), ""};
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = starts[round % 3];
    for (size_t i = random() % 200; i > 0; --i) bytes += static_cast<char>(random());
    EXPECT_EQ(outcome(bytes, "noise"), Outcome::kError);
  }
}

TEST(Decode, DemoImagesAreThirtyTwoPixelsWide) {
  const fs::path folder = fs::path(TARFLOW_SOURCE_DIR) / "sweeps/assets/cifar10";
  if (!fs::is_directory(folder)) GTEST_SKIP() << folder << " is missing";
  int count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const Image image = read_image(entry.path());
    EXPECT_EQ(image.width, 32) << entry.path();
    EXPECT_EQ(image.height, 32) << entry.path();
    ++count;
  }
  EXPECT_EQ(count, 1000);
}

}  // namespace
}  // namespace tarflow::images
