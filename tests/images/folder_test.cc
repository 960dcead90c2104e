#include "framework/images/folder.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "framework/images/png.h"
#include "tests/images/fixtures.h"

namespace tarflow::images {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A folder with files of the given names; listing looks at names alone.
void make_files(const fs::path& root, const std::vector<std::string>& names) {
  for (const std::string& name : names) write_file(root / name, "content of " + name);
}

// "label path" of each file, relative to the root.
std::vector<std::string> listed(const ImageFolder& folder, const std::vector<ImageFile>& files) {
  std::vector<std::string> lines;
  for (const ImageFile& file : files) {
    lines.push_back(std::to_string(file.label) + " " +
                    fs::path(file.path).lexically_relative(folder.root).string());
  }
  return lines;
}

std::vector<std::string> listed(const fs::path& root) {
  const ImageFolder folder = list_images(root);
  return listed(folder, folder.files);
}

TEST(Folder, ClassesAndFilesAreSorted) {
  const TemporaryFolder root;
  make_files(root.path(), {"dog/2.jpg", "dog/10.jpg", "cat/b.PNG", "cat/a.JpEg", "Zebra/x.png",
                           "cat/notes.txt", "cat/jpg", "beside.jpg"});
  const ImageFolder folder = list_images(root.path());
  EXPECT_THAT(folder.classes, ElementsAre("Zebra", "cat", "dog"));
  EXPECT_THAT(
      listed(folder, folder.files),
      ElementsAre("0 Zebra/x.png", "1 cat/a.JpEg", "1 cat/b.PNG", "2 dog/10.jpg", "2 dog/2.jpg"));
}

// torchvision sorts the folders of a class as os.walk() names them, and the files inside each.
TEST(Folder, SubfoldersBelongToTheirClass) {
  const TemporaryFolder root;
  make_files(root.path(), {"c/z.jpg", "c/b/2.jpg", "c/b/deep/1.jpg", "c/b-1/0.jpg", "c/a/3.jpg"});
  EXPECT_THAT(listed(root.path()), ElementsAre("0 c/z.jpg", "0 c/a/3.jpg", "0 c/b/2.jpg",
                                               "0 c/b-1/0.jpg", "0 c/b/deep/1.jpg"));
}

TEST(Folder, WithoutClassFoldersThereAreNoLabels) {
  const TemporaryFolder root;
  make_files(root.path(), {"b.jpg", "a.png", "readme.md"});
  const ImageFolder folder = list_images(root.path());
  EXPECT_THAT(folder.classes, IsEmpty());
  EXPECT_THAT(listed(folder, folder.files), ElementsAre("-1 a.png", "-1 b.jpg"));
}

TEST(Folder, OneClassIsAClass) {
  const TemporaryFolder root;
  make_files(root.path(), {"cat/b.jpg", "cat/a.png", "beside.jpg"});
  const ImageFolder folder = list_images(root.path());
  EXPECT_THAT(folder.classes, ElementsAre("cat"));
  EXPECT_THAT(listed(folder, folder.files), ElementsAre("0 cat/a.png", "0 cat/b.jpg"));
  EXPECT_THAT(listed(folder, select_balanced(folder, 1)), ElementsAre("0 cat/a.png"));
}

TEST(Folder, WithoutImagesTheErrorSaysWhatThereIs) {
  const TemporaryFolder root;
  make_files(root.path(), {"a.webp", "b.WEBP", "c.gif", "notes"});
  EXPECT_THAT(error_of([&] { list_images(root.path()); }),
              AllOf(HasSubstr("no images in the folder " + root.path().string()),
                    HasSubstr("4 other files, such as a.webp"), HasSubstr(".jpg, .jpeg or .png")));
  make_files(root.path(), {"class/d.tiff"});
  EXPECT_THAT(
      error_of([&] { list_images(root.path()); }),
      AllOf(HasSubstr("no images in the class folder"), HasSubstr("1 other file, such as d.tiff")));
}

TEST(Folder, LinksAreFollowedButNotInCircles) {
  const TemporaryFolder root, elsewhere;
  make_files(elsewhere.path(), {"linked.jpg"});
  make_files(root.path(), {"c/own.jpg"});
  fs::create_directory_symlink(elsewhere.path(), root.path() / "d");
  fs::create_symlink(elsewhere.path() / "linked.jpg", root.path() / "c/file_link.jpg");
  fs::create_symlink(elsewhere.path() / "gone.jpg", root.path() / "c/broken.jpg");
  fs::create_directory_symlink(root.path(), root.path() / "c/up");
  fs::create_directory_symlink(".", root.path() / "c/self");
  EXPECT_THAT(listed(root.path()),
              ElementsAre("0 c/broken.jpg", "0 c/file_link.jpg", "0 c/own.jpg", "1 d/linked.jpg"));
}

TEST(Folder, PipesAreNotListed) {
  const TemporaryFolder root;
  make_files(root.path(), {"a.jpg"});
  ASSERT_EQ(::mkfifo((root.path() / "pipe.jpg").c_str(), 0600), 0);
  EXPECT_THAT(listed(root.path()), ElementsAre("-1 a.jpg"));
}

TEST(Folder, MissingOrEmptyFoldersAreErrors) {
  const TemporaryFolder root;
  EXPECT_THAT(error_of([&] { list_images(root.path() / "gone"); }), HasSubstr("does not exist"));
  EXPECT_THAT(error_of([&] { list_images(root.path()); }),
              HasSubstr("no images in the folder " + root.path().string()));
  make_files(root.path(), {"c/a.jpg", "d/text.txt"});
  EXPECT_THAT(error_of([&] { list_images(root.path() / "c/a.jpg"); }),
              HasSubstr("is not a folder"));
  EXPECT_THAT(error_of([&] { list_images(root.path()); }),
              HasSubstr("no images in the class folder " + (root.path() / "d").string()));
}

TEST(Folder, BalancedSelectionTakesTheFirstOfEachClass) {
  const TemporaryFolder root;
  make_files(root.path(), {"a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.jpg", "b/2.jpg", "b/3.jpg",
                           "c/1.jpg", "c/2.jpg"});
  const ImageFolder folder = list_images(root.path());
  const auto selected = [&](int64_t n) { return listed(folder, select_balanced(folder, n)); };
  EXPECT_THAT(selected(1), ElementsAre("0 a/1.jpg"));
  EXPECT_THAT(selected(3), ElementsAre("0 a/1.jpg", "1 b/1.jpg", "2 c/1.jpg"));
  EXPECT_THAT(selected(5),
              ElementsAre("0 a/1.jpg", "0 a/2.jpg", "1 b/1.jpg", "1 b/2.jpg", "2 c/1.jpg"));
  // Class c has no third image: the others give it.
  EXPECT_THAT(selected(7), ElementsAre("0 a/1.jpg", "0 a/2.jpg", "0 a/3.jpg", "1 b/1.jpg",
                                       "1 b/2.jpg", "2 c/1.jpg", "2 c/2.jpg"));
  EXPECT_EQ(select_balanced(folder, 8), folder.files);
  EXPECT_THAT(error_of([&] { selected(9); }), HasSubstr("cannot choose 9 of the 8 images"));
  EXPECT_THAT(error_of([&] { selected(0); }), HasSubstr("cannot choose 0"));
}

TEST(Folder, BalancedSelectionWithoutClassesTakesTheFirst) {
  const TemporaryFolder root;
  make_files(root.path(), {"a.jpg", "b.jpg", "c.jpg"});
  const ImageFolder folder = list_images(root.path());
  EXPECT_THAT(listed(folder, select_balanced(folder, 2)), ElementsAre("-1 a.jpg", "-1 b.jpg"));
}

TEST(FolderHash, IsThatOfTheLinesOfSha256sum) {
  const TemporaryFolder root;
  make_files(root.path(), {"b/1.jpg", "a/2.png", "a/skipped.txt"});
  const std::string lines = sha256_hex("content of a/2.png") + "  a/2.png\n" +
                            sha256_hex("content of b/1.jpg") + "  b/1.jpg\n";
  EXPECT_EQ(folder_content_hash(root.path()), sha256_hex(lines));
}

TEST(FolderHash, ChangesWithContentAndNamesAlone) {
  const TemporaryFolder one, other;
  const std::vector<std::string> names = {"a/1.jpg", "a/2.jpg"};
  make_files(one.path(), names);
  make_files(other.path(), names);
  const std::string hash = folder_content_hash(one.path());
  EXPECT_EQ(folder_content_hash(other.path()), hash);
  EXPECT_EQ(folder_content_hash(other.path() / ""), hash);
  EXPECT_EQ(folder_content_hash(other.path() / "a" / ".."), hash);
  write_file(other.path() / "a/notes.txt", "beside");
  EXPECT_EQ(folder_content_hash(other.path()), hash);
  fs::rename(other.path() / "a/2.jpg", other.path() / "a/3.jpg");
  EXPECT_NE(folder_content_hash(other.path()), hash);
  fs::rename(other.path() / "a/3.jpg", other.path() / "a/2.jpg");
  write_file(other.path() / "a/2.jpg", "other");
  EXPECT_NE(folder_content_hash(other.path()), hash);
  // A file that cannot be read still has its place.
  fs::remove(other.path() / "a/2.jpg");
  fs::create_symlink("gone", other.path() / "a/2.jpg");
  EXPECT_NE(folder_content_hash(other.path()), hash);
}

}  // namespace
}  // namespace tarflow::images
