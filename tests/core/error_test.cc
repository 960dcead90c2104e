#include "framework/core/error.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tarflow {
namespace {

TEST(Place, LeavesOutWhatIsUnknown) {
  EXPECT_EQ((Place{"a.yaml", 3, 7}).str(), "a.yaml:3:7");
  EXPECT_EQ((Place{"a.yaml", 3, 0}).str(), "a.yaml:3");
  EXPECT_EQ((Place{"a.yaml", 0, 7}).str(), "a.yaml");
  EXPECT_EQ((Place{"", 3, 7}).str(), "");
}

TEST(Problem, PutsTheCaretBelowTheColumn) {
  const Problem problem{{"a.yaml", 3, 6}, "bad", "do better", "  x: y"};
  EXPECT_EQ(problem.str(), "a.yaml:3:6: bad\n    x: y\n       ^\n  do better");
}

TEST(Problem, KeepsTabsBeforeTheCaret) {
  const Problem problem{{"a.yaml", 1, 3}, "bad", "", "\tx: y"};
  EXPECT_EQ(problem.str(), "a.yaml:1:3: bad\n  \tx: y\n  \t ^");
}

TEST(Problem, WithoutPlaceSourceOrRepairIsOneLine) {
  EXPECT_EQ((Problem{{}, "bad", "", ""}).str(), "bad");
}

TEST(Problem, AColumnBeyondTheLineIsAtItsEnd) {
  EXPECT_EQ((Problem{{"a", 1, 50}, "bad", "", "xy"}).str(), "a:1:50: bad\n  xy\n    ^");
}

TEST(Error, TellsAllProblems) {
  const Error error({Problem{{"a", 1, 1}, "one", "", ""}, Problem{{}, "two", "fix", ""}});
  EXPECT_STREQ(error.what(), "a:1:1: one\ntwo\n  fix");
  EXPECT_EQ(error.problems().size(), 2U);
  EXPECT_EQ(Error("w", "r", {"f", 2, 3}).problems().at(0).place, (Place{"f", 2, 3}));
}

TEST(Nearest, FindsSlips) {
  const std::vector<std::string> words = {"segments", "max_iterations", "cfg", "seed"};
  EXPECT_EQ(nearest("segmets", words), "segments");   // left out
  EXPECT_EQ(nearest("segmnets", words), "segments");  // swapped
  EXPECT_EQ(nearest("maxiterations", words), "max_iterations");
  EXPECT_EQ(nearest("cgf", words), "cfg");
  EXPECT_EQ(nearest("seed", words), "seed");
  EXPECT_EQ(nearest("temperature", words), "");
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(Nearest, DidYouMean) {
  EXPECT_EQ(did_you_mean("sed", {"cfg", "seed"}), "did you mean `seed`?");
  EXPECT_EQ(did_you_mean("temperature", {"cfg", "seed"}), "valid: cfg, seed");
}

}  // namespace
}  // namespace tarflow
