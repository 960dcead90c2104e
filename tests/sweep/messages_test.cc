// What a message proposes: the nearest key, the way to write a list, and each absent file once.
#include <cstdlib>

#include "framework/sweep/scalars.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class Messages : public SweepTest {
 protected:
  // "what | repair" of what is wrong with --set.
  std::vector<std::string> wrong_set(const std::string& text, const std::string& set) {
    std::vector<std::string> found;
    try {
      load_sweep(write("test.yaml", text), test_schemas(), {.allow_missing = true, .set = {set}});
    } catch (const Error& failure) {
      for (const Problem& problem : failure.problems())
        found.push_back(problem.what + " | " + problem.repair);
    }
    return found;
  }
};

TEST_F(Messages, ExperimentsAsAMapAreToldTheLine) {
  EXPECT_THAT(errors("experiments:\n  evaluate: {cfg: 1}\n"),
              ElementsAre("2:3 `experiments`: expected a list, found a map"));
  EXPECT_THAT(repairs_.back(), HasSubstr("write `- evaluate:`"));
}

TEST_F(Messages, AScalarInTheGridIsToldAsAList) {
  EXPECT_THAT(errors(evaluate_with("      grid: {strategy: For}\n")),
              ElementsAre("7:24 `strategy`: expected a list, found the text `For`"));
  EXPECT_EQ(repairs_.back(), "write `[For]`");
}

TEST_F(Messages, AnAxisIsSetByTheNameOfItsField) {
  const std::string text = evaluate_with("      grid: {cfg: [0, 1]}\n");
  EXPECT_THAT(wrong_set(text, "evaluate.grid.cfg=1"),
              ElementsAre(HasSubstr("`grid.cfg` is no key of an experiment | "
                                    "write `evaluate.cfg=...`")));
  EXPECT_THAT(wrong_set(text, "grid.cfg=1"), ElementsAre(HasSubstr("write `cfg=...`")));
  EXPECT_THAT(wrong_set(text, "grid.cgf=1"), ElementsAre(HasSubstr("no experiment `grid`")));
}

TEST_F(Messages, KeysAreListedOnceAndLongListsNotAtAll) {
  const std::vector<std::string> few = {"cfg", "seed", "cfg"};
  EXPECT_EQ(nearest_key("temperature", few, kListOfKeys), "valid: cfg, seed");
  EXPECT_EQ(nearest_key("sed", few, kListOfKeys), "did you mean `seed`?");
  std::vector<std::string> many = {"self_denoising_lr"};
  for (int i = 0; i < 30; ++i) many.push_back(fmt::format("some_setting_{}", i));
  EXPECT_EQ(nearest_key("lr", many, kListOfKeys),
            std::string("similar: self_denoising_lr; ") + kListOfKeys);
  EXPECT_EQ(nearest_key("xyz", many, kListOfKeys), kListOfKeys);
}

TEST_F(Messages, AnAbsentFileIsToldOnce) {
  const std::string text = evaluate_with(
      "      images: no/images\n      guess_images: no/images\n  - measure: {images: no/images}\n");
  const Sweep sweep = load(text);
  std::vector<Problem> files = sweep.missing;
  std::erase_if(files, [](const Problem& one) { return one.what.starts_with("the checkpoint"); });
  ASSERT_THAT(files, SizeIs(1));
  EXPECT_EQ(files[0].what, "`images` and `guess_images` are missing: no/images, one file");
  EXPECT_THAT(files[0].repair, AllOf(HasSubstr("also named in "), HasSubstr("test.yaml:9:")));
}

TEST_F(Messages, OfFilesThatOnlyLeavesOutNothingIsTold) {
  const std::string text = evaluate_with("      grid: {model: [m, small]}\n");
  EXPECT_THAT(load(text).missing, SizeIs(2));
  const Sweep one = load_sweep(write("test.yaml", text), test_schemas(),
                               {.allow_missing = true, .only = {"model=small"}});
  ASSERT_THAT(one.missing, SizeIs(1));
  EXPECT_THAT(one.missing[0].what, AllOf(HasSubstr("`small`"), Not(HasSubstr("`m`"))));
}

TEST_F(Messages, DataOfTheSiteIsFoundUnderTheNameThatSweepsWrite) {
  const char* const before = std::getenv("TARFLOW_SITE");
  const std::string kept = before ? before : "";
  std::filesystem::create_directories(folder_ / "site/data/faces");
  ::setenv("TARFLOW_SITE", (folder_ / "site").c_str(), 1);
  const Sweep sweep =
      load(std::string(kModels) + "experiments:\n  - measure: {model: m, images: data/faces}\n");
  ::unsetenv("TARFLOW_SITE");
  if (before) ::setenv("TARFLOW_SITE", kept.c_str(), 1);
  EXPECT_EQ(sweep.points.at(0).settings.at("images"), (folder_ / "site/data/faces").string());
}

}  // namespace
}  // namespace tarflow::sweep
