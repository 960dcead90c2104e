#include "framework/driver/unknown_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "tests/support/house.h"

namespace tarflow::driver {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
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

TEST(UnknownOptions, AFlagTakesNoValue) {
  EXPECT_THAT(said_of({"a.yaml", "--smoke=1"}),
              HasSubstr("--smoke takes no value\n  write run_sweep a.yaml --smoke"));
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
  EXPECT_THAT(said_of({"a.yaml", "--froce"}),
              HasSubstr("did you mean --force? write run_sweep a.yaml --force"));
  EXPECT_THAT(said_of({"a.yaml", "--whatever"}), HasSubstr("run_sweep --help lists them"));
}

// A setting has no value such as cfg=1.
TEST(UnknownOptions, ASlipOfAnOptionWithAConditionIsNoSetting) {
  for (const Words& words : {Words{"a.yaml", "--sett", "cfg=1"}, Words{"a.yaml", "--sett=cfg=1"}}) {
    const std::string said = said_of(words);
    EXPECT_THAT(said, HasSubstr("did you mean --set? write run_sweep a.yaml --set cfg=1"));
    EXPECT_THAT(said, Not(HasSubstr("sett=")));
  }
  EXPECT_THAT(said_of({"a.yaml", "--onyl", "cfg>=1"}),
              HasSubstr("write run_sweep a.yaml --only 'cfg>=1'"));
  EXPECT_THAT(said_of({"a.yaml", "--dry-rnu"}),
              HasSubstr("did you mean the subcommand plan? write run_sweep plan a.yaml"));
  EXPECT_THAT(said_of({"--froce", "a.yaml"}),
              HasSubstr("did you mean --force? write run_sweep --force a.yaml"));
  EXPECT_THAT(said_of({"a.yaml", "--res", "x"}), HasSubstr("or did you mean --results?"));
}

TEST(UnknownOptions, ASlipOfAnOptionOfOthersIsNamedWithThese) {
  try {
    require_own_options({"a.yaml", "--jsn"}, {"run", kOptions, {{"--json", {"plan", "status"}}}});
    ADD_FAILURE() << "it was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean --json? it belongs to plan, status"));
  }
}

TEST(UnknownOptions, AMistypedSubcommandIsNoFile) {
  const auto said = [](const Words& words) -> std::string {
    try {
      require_no_slip(words);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(said({"statu", "a.yaml"}),
              HasSubstr("did you mean status? write run_sweep status a.yaml"));
  EXPECT_THAT(said({"plam"}), HasSubstr("did you mean plan? write run_sweep plan"));
  for (const Words& words : {Words{"status", "a.yaml"}, Words{"statu.yaml"}, Words{"./statu"},
                             Words{"--cluster", "statu"}, Words{"cfg=1"}, Words{"--", "statu"},
                             Words{"--smok", "statu"}, Words{}}) {
    EXPECT_EQ(said(words), "");
  }
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
