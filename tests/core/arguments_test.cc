#include "framework/core/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

void require(const std::string& argument) {
  const char* words[] = {"run_sweep", "a.yaml", argument.c_str()};
  require_plain_arguments(3, words);
}

TEST(Arguments, ThatHoldWhatIsNotSeenAreNamed) {
  EXPECT_THAT([] { require("a.yaml\u00A0"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("argument 2"), HasSubstr("U+00A0"),
                                         HasSubstr("behind `a.yaml`"))));
  for (const char* text : {"--set\u200B", "--set=cfg=1\u202E", "cfg\u200B=1", "\u2028",
                           "--res\u200Bults=/tmp", "/no/such\u3000folder/results"}) {
    EXPECT_THAT([&] { require(text); }, ThrowsMessage<Error>(HasSubstr("U+"))) << text;
  }
}

TEST(Arguments, WithAnotherDashAreNamed) {
  for (const char* text : {"–dry-run", "—wait", "−j"}) {
    EXPECT_THAT([&] { require(text); }, ThrowsMessage<Error>(HasSubstr("write `-`"))) << text;
  }
}

TEST(Arguments, OfFilesThatExistAreTakenAsTheyAre) {
  std::string folder =
      (std::filesystem::temp_directory_path() / "tarflow_arguments_XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/10.12\u202FAM.yaml";
  EXPECT_THAT([&] { require(file); }, ThrowsMessage<Error>(HasSubstr("U+202F")));
  write_file(file, "");
  EXPECT_NO_THROW(require(file));
  std::filesystem::create_directory(folder + "/a\u3000b");
  EXPECT_NO_THROW(require("--results=" + folder + "/a\u3000b/new"));
  EXPECT_ANY_THROW(require("--results=" + folder + "/a\u3000b/new\u3000"));
  std::filesystem::remove_all(folder);
}

TEST(Arguments, OfPlainTextAreTaken) {
  for (const char* text : {"", "-", "--set", "cfg=−1", "name=Zürich", "画像.yaml"}) {
    EXPECT_NO_THROW(require(text)) << text;
  }
}

}  // namespace
}  // namespace tarflow
