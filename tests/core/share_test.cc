#include "framework/core/share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

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

}  // namespace
}  // namespace tarflow
