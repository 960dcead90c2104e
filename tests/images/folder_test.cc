#include "framework/images/folder.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

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

std::vector<std::string> listed(const fs::path& root, Layout layout = Layout::kAuto) {
  const ImageFolder folder = list_images(root, layout);
  return listed(folder, folder.files);
}

TEST(Folder, ClassesAndFilesAreSorted) {
  const TemporaryFolder root;
  make_files(root.path(), {"dog/2.jpg", "dog/10.jpg", "cat/b.PNG", "cat/a.JpEg", "Zebra/x.png",
                           "cat/notes.txt", "cat/jpg", "README.md"});
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
  EXPECT_THAT(
      listed(root.path(), Layout::kClasses),
      ElementsAre("0 c/z.jpg", "0 c/a/3.jpg", "0 c/b/2.jpg", "0 c/b-1/0.jpg", "0 c/b/deep/1.jpg"));
  fs::remove(root.path() / "c/z.jpg");
  fs::remove(root.path() / "c/b/2.jpg");
  EXPECT_THAT(listed(root.path()), ElementsAre("0 c/a/3.jpg", "0 c/b-1/0.jpg", "0 c/b/deep/1.jpg"))
      << "no layout is needed where each folder has images or folders with images";
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
  make_files(root.path(), {"cat/b.jpg", "cat/a.png"});
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

TEST(Folder, WhatSystemsLeaveBehindIsPassedOver) {
  for (const char* name : {".ipynb_checkpoints", ".git", ".cache", "__MACOSX", "@eaDir"}) {
    const TemporaryFolder flat, classes;
    const std::string below = name;
    make_files(flat.path(), {"a.png", below + "/b.png", below + "/c/d.png", "._a.png"});
    EXPECT_THAT(listed(flat.path()), ElementsAre("-1 a.png")) << name;
    make_files(classes.path(), {"x/a.png", "y/b.png", below + "/c.png", "x/" + below + "/d.png"});
    EXPECT_THAT(listed(classes.path()), ElementsAre("0 x/a.png", "1 y/b.png")) << name;
  }
}

TEST(Folder, TheRootMayHaveAnyName) {
  const TemporaryFolder root;
  make_files(root.path() / ".hidden", {"a.png"});
  EXPECT_THAT(listed(root.path() / ".hidden"), ElementsAre("-1 a.png"));
}

TEST(Folder, ImagesInAFolderAndBelowItNeedALayout) {
  const TemporaryFolder root;
  make_files(root.path(), {"a.png", "b.png", "thumbs/a.png", "logs/run.txt"});
  EXPECT_THAT(error_of([&] { list_images(root.path()); }),
              AllOf(HasSubstr(root.path().string() + " has 2 images of its own"),
                    HasSubstr("1 image in the folder " + (root.path() / "thumbs").string()),
                    HasSubstr("layout: flat"), HasSubstr("layout: classes")));
  EXPECT_THAT(listed(root.path(), Layout::kFlat), ElementsAre("-1 a.png", "-1 b.png"));
  EXPECT_THAT(error_of([&] { list_images(root.path(), Layout::kClasses); }),
              HasSubstr("no images in the class folder " + (root.path() / "logs").string()));
  fs::remove_all(root.path() / "logs");
  const ImageFolder folder = list_images(root.path(), Layout::kClasses);
  EXPECT_THAT(listed(folder, folder.files), ElementsAre("0 thumbs/a.png"));
  EXPECT_THAT(warnings_of(folder), ElementsAre(HasSubstr("leaves out 2 images")));
}

TEST(Folder, ImagesInAClassAndBelowItNeedALayout) {
  const TemporaryFolder root;
  make_files(root.path(), {"cat/a.png", "cat/small/a.png", "dog/b.png"});
  EXPECT_THAT(error_of([&] { list_images(root.path()); }),
              AllOf(HasSubstr((root.path() / "cat").string() + " has 1 image of its own"),
                    HasSubstr((root.path() / "cat/small").string())));
}

TEST(Folder, FoldersWithoutImagesAreNoClassesOfAFlatFolder) {
  const TemporaryFolder root;
  make_files(root.path(), {"a.png", "logs/run.txt", "empty/deep/x"});
  EXPECT_THAT(listed(root.path()), ElementsAre("-1 a.png"));
  EXPECT_THAT(error_of([&] { list_images(root.path() / "logs", Layout::kClasses); }),
              HasSubstr("has no folders in it"));
}

TEST(Folder, OtherFormatsAreCounted) {
  const TemporaryFolder root;
  make_files(root.path(), {"x/a.png", "x/b.webp", "x/c.WEBP", "y/d.jpg", "y/e.tif", "y/Thumbs.db",
                           "f.bmp", "README.md", "LICENSE", "x/.g.bmp"});
  const ImageFolder folder = list_images(root.path());
  EXPECT_THAT(folder.unread,
              ElementsAre(std::pair(".bmp", 1), std::pair(".tif", 1), std::pair(".webp", 2)));
  EXPECT_THAT(warnings_of(folder),
              ElementsAre(HasSubstr("4 image files are not read (1 .bmp, 1 .tif, 2 .webp)")));
  const TemporaryFolder clean;
  make_files(clean.path(), {"a.png", "README.md", "LICENSE", "Thumbs.db"});
  EXPECT_THAT(warnings_of(list_images(clean.path())), IsEmpty());
}

TEST(Folder, LinksAreFollowed) {
  const TemporaryFolder root, elsewhere;
  make_files(elsewhere.path(), {"linked.jpg"});
  make_files(root.path(), {"c/own.jpg"});
  fs::create_directory_symlink(elsewhere.path(), root.path() / "d");
  fs::create_symlink(elsewhere.path() / "linked.jpg", root.path() / "c/file_link.jpg");
  EXPECT_THAT(listed(root.path()),
              ElementsAre("0 c/file_link.jpg", "0 c/own.jpg", "1 d/linked.jpg"));
}

// The loading decides whether such a file may be left out.
TEST(Folder, ALinkToNoImageIsAnUnreadableFile) {
  const TemporaryFolder root;
  make_files(root.path(), {"c/own.jpg"});
  fs::create_symlink("gone.jpg", root.path() / "c/broken.jpg");
  fs::create_symlink("self.jpg", root.path() / "c/self.jpg");
  const ImageFolder folder = list_images(root.path());
  EXPECT_THAT(listed(folder, folder.files),
              ElementsAre("0 c/broken.jpg", "0 c/own.jpg", "0 c/self.jpg"));
  EXPECT_THAT(folder.broken, ElementsAre((root.path() / "c/broken.jpg").string(),
                                         (root.path() / "c/self.jpg").string()));
}

TEST(Folder, LinksThatLeadBackOrNowhereAreNamed) {
  for (const auto& [at, target] : std::vector<std::pair<std::string, std::string>>{
           {"c/up", ".."}, {"c/self", "."}, {"d", "."}, {"d", "gone"}, {"d", "d"}}) {
    const TemporaryFolder root;
    make_files(root.path(), {"c/own.jpg"});
    fs::create_directory_symlink(target, root.path() / at);
    EXPECT_THAT(error_of([&] { list_images(root.path()); }),
                HasSubstr((root.path() / at).string() + " "))
        << at << " -> " << target;
  }
  const TemporaryFolder flat;
  make_files(flat.path(), {"a.jpg"});
  fs::create_directory_symlink(".", flat.path() / "loop");
  EXPECT_THAT(error_of([&] { list_images(flat.path()); }),
              HasSubstr((flat.path() / "loop").string()));
  EXPECT_THAT(listed(flat.path(), Layout::kFlat), ElementsAre("-1 a.jpg"));
  fs::create_directory_symlink("gone", flat.path() / "link");
  EXPECT_THAT(error_of([&] { list_images(flat.path() / "link"); }),
              HasSubstr("a link that leads nowhere"));
}

TEST(Folder, AFolderThatCannotBeListedIsNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may list every folder";
  const TemporaryFolder root;
  make_files(root.path(), {"c/own.jpg", "d/closed/a.jpg"});
  fs::permissions(root.path() / "d/closed", fs::perms::none);
  const std::string message = error_of([&] { list_images(root.path()); });
  fs::permissions(root.path() / "d/closed", fs::perms::owner_all);
  EXPECT_THAT(message, HasSubstr((root.path() / "d/closed").string()));
}

TEST(Folder, ALinkThatCannotBeLookedAtIsNamed) {
  const TemporaryFolder root;
  make_files(root.path(), {"c/own.jpg"});
  fs::create_symlink(std::string(300, 'x'), root.path() / "d");  // no name may be as long
  EXPECT_THAT(error_of([&] { list_images(root.path()); }),
              HasSubstr("cannot look at " + (root.path() / "d").string()));
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

TEST(FolderHash, IsThatOfNamesAndContents) {
  const TemporaryFolder root;
  make_files(root.path(), {"b/1.jpg", "a/2.png", "a/skipped.txt"});
  const std::string lines = "image folder 2\n7:a/2.png " + sha256_hex("content of a/2.png") +
                            "\n7:b/1.jpg " + sha256_hex("content of b/1.jpg") + "\n";
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
  make_files(other.path(), {"a/notes.txt", "README.md", "Thumbs.db", "a/b.webp", ".cache/x.png",
                            "a/.c.png", "__MACOSX/a/1.jpg"});
  EXPECT_EQ(folder_content_hash(other.path()), hash);
  fs::rename(other.path() / "a/2.jpg", other.path() / "a/3.jpg");
  EXPECT_NE(folder_content_hash(other.path()), hash);
  fs::rename(other.path() / "a/3.jpg", other.path() / "a/2.jpg");
  write_file(other.path() / "a/2.jpg", "other");
  EXPECT_NE(folder_content_hash(other.path()), hash);
  // A link that leads nowhere still has its place.
  fs::remove(other.path() / "a/2.jpg");
  const std::string without = folder_content_hash(other.path());
  fs::create_symlink("gone", other.path() / "a/2.jpg");
  EXPECT_NE(folder_content_hash(other.path()), hash);
  EXPECT_NE(folder_content_hash(other.path()), without);
}

TEST(FolderHash, IsOfWhatTheLayoutReads) {
  const TemporaryFolder root;
  make_files(root.path(), {"a.png", "c/b.png"});
  const auto hash = [&](Layout layout) { return folder_content_hash(root.path(), layout); };
  const std::string flat = hash(Layout::kFlat), classes = hash(Layout::kClasses);
  EXPECT_NE(flat, classes);
  write_file(root.path() / "c/b.png", "changed");
  EXPECT_EQ(hash(Layout::kFlat), flat);
  EXPECT_NE(hash(Layout::kClasses), classes);
  fs::remove_all(root.path() / "c");
  EXPECT_EQ(hash(Layout::kAuto), flat) << "a layout that is stated says nothing new";
}

}  // namespace
}  // namespace tarflow::images
