#include "framework/driver/unknown_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "tests/support/house.h"

namespace tarflow::driver {
namespace {

using ::testing::HasSubstr;
using Words = std::vector<std::string>;

const Words kOptions = {"--set", "--only", "--force", "--smoke", "--dry-run", "--results"};

// What is said of an option; "" when it is one of this program's.
std::string said_of(const Words& arguments) {
  try {
    require_own_options(arguments, {"run", kOptions});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string said_of_files(const Words& arguments, const std::filesystem::path& file) {
  try {
    require_sweep_files(arguments, {file});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(UnknownOptions, OwnOptionsAndTheirValuesAreLeftAlone) {
  EXPECT_EQ(said_of({"a.yaml", "--set", "--resume", "--only", "-x", "--dry-run", "--results=r"}),
            "");
}

TEST(UnknownOptions, OptionsOfOthersAreAnsweredWithTheWholeLine) {
  EXPECT_THAT(said_of({"a.yaml", "--resume"}), HasSubstr("write run_sweep a.yaml"));
  EXPECT_THAT(said_of({"a.yaml", "--overwrite", "--set", "cfg=[0, 1]"}),
              HasSubstr("write run_sweep a.yaml --force --set 'cfg=[0, 1]'"));
  EXPECT_THAT(said_of({"a.yaml", "--output-dir", "my results"}),
              HasSubstr("write run_sweep a.yaml --results 'my results'"));
  EXPECT_THAT(said_of({"--config=a.yaml", "--smoke"}), HasSubstr("write run_sweep a.yaml --smoke"));
  EXPECT_THAT(said_of({"a.yaml", "--workers", "4"}),
              HasSubstr("write run_sweep a.yaml --set run.workers=4"));
}

TEST(UnknownOptions, AnUnknownOptionWithAValueIsASetting) {
  const std::string said = said_of({"a.yaml", "--num-images", "5"});
  EXPECT_THAT(said, HasSubstr("run_sweep has no option --num-images"));
  EXPECT_THAT(said, HasSubstr("run_sweep a.yaml --set num_images=5"));
  EXPECT_THAT(said, HasSubstr("run_sweep a.yaml --only num_images=5"));
  EXPECT_THAT(said_of({"a.yaml", "--froce"}), HasSubstr("did you mean --force?"));
  EXPECT_THAT(said_of({"a.yaml", "--whatever"}), HasSubstr("run_sweep --help lists them"));
}

TEST(UnknownOptions, AConditionAmongTheFilesIsASelection) {
  const std::string said = said_of_files({"a.yaml", "strategy=[7-8-4-4]"}, "strategy=[7-8-4-4]");
  EXPECT_THAT(said, HasSubstr("`strategy=[7-8-4-4]` is not a sweep file"));
  EXPECT_THAT(said, HasSubstr("run_sweep a.yaml --only 'strategy=[7-8-4-4]'"));
  EXPECT_THAT(said, HasSubstr("run_sweep a.yaml --set 'strategy=[7-8-4-4]'"));
}

TEST(UnknownOptions, AFileOfNearlyThatNameIsNamed) {
  const Scratch folder;
  write_file(folder / "demo.yaml", "");
  for (const char* name : {"demo.yml", "demo"}) {
    const std::string file = (folder / name).string();
    EXPECT_THAT(said_of_files({file, "--smoke"}, file),
                HasSubstr("write run_sweep " + (folder / "demo.yaml").string() + " --smoke"));
  }
  const std::string there = (folder / "demo.yaml").string(), none = (folder / "other").string();
  EXPECT_EQ(said_of_files({there}, there), "");
  EXPECT_EQ(said_of_files({none}, none), "") << "what reads it says that it is absent";
}

}  // namespace
}  // namespace tarflow::driver
