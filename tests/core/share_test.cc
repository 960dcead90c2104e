#include "framework/core/share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "framework/core/error.h"

namespace tarflow {
namespace {
namespace fs = std::filesystem;

TEST(Share, IsTheInstalledFolderWhereThereIsOneAndElseTheBuildFolders) {
  std::string name = (fs::temp_directory_path() / "tarflow_share_XXXXXX").string();
  const fs::path prefix = fs::canonical(::mkdtemp(name.data()));
  fs::create_directories(prefix / "bin");
  EXPECT_EQ(share_folder(prefix / "bin"), prefix / "share");
  fs::create_directories(prefix / "share" / "tarflow");
  EXPECT_EQ(share_folder(prefix / "bin"), prefix / "share" / "tarflow");
  fs::remove_all(prefix);
}

TEST(Share, FollowsLinksToTheProgram) {
  EXPECT_TRUE(fs::exists(program_folder() / fs::read_symlink("/proc/self/exe").filename()));
}

TEST(Share, ASiteFolderIsAnAbsolutePathOfAFolder) {
  const char* const before = std::getenv("TARFLOW_SITE");
  const std::string kept = before ? before : "";
  ::setenv("TARFLOW_SITE", "site", 1);
  EXPECT_THROW(site_folder(), Error) << "its models would depend on the working folder";
  std::string name = (fs::temp_directory_path() / "tarflow_site_XXXXXX").string();
  const fs::path site = ::mkdtemp(name.data());
  ::setenv("TARFLOW_SITE", site.c_str(), 1);
  EXPECT_EQ(site_folder(), site);
  fs::remove(site);
  EXPECT_THROW(site_folder(), Error) << "a mistyped name must not mean: no site, run here";
  ::unsetenv("TARFLOW_SITE");
  EXPECT_EQ(site_folder(), "/etc/tarflow");
  if (before) ::setenv("TARFLOW_SITE", kept.c_str(), 1);
}

}  // namespace
}  // namespace tarflow
