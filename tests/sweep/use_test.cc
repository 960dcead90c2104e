// Sweeps that are read from several files, the environment and the command line.
#include <cstdlib>

#include "framework/core/strategy.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class UseTest : public SweepTest {
 protected:
  // "file:line:column what | repair" of everything that is wrong.
  std::vector<std::string> wrong(const std::string& text, LoadOptions options = {}) const {
    options.allow_missing = true;
    try {
      load_sweep(write("test.yaml", text), test_schemas(), options);
    } catch (const Error& error) {
      std::vector<std::string> lines;
      for (const Problem& problem : error.problems()) {
        lines.push_back(fmt::format(
            "{}:{}:{} {} | {}", std::filesystem::path(problem.place.file).filename().string(),
            problem.place.line, problem.place.column, problem.what, problem.repair));
      }
      return lines;
    }
    return {};
  }

  Sweep with(const std::string& text, LoadOptions options) const {
    options.allow_missing = true;
    return load_sweep(write("test.yaml", text), test_schemas(), options);
  }

  Json only(const Sweep& sweep, const char* field) const {
    EXPECT_THAT(sweep.points, SizeIs(1));
    return sweep.points.at(0).settings.at(field);
  }
};

TEST_F(UseTest, AValueIsWhatStandsInTheFile) {
  write("p/values.yaml",
        "a: {b.c: {weight: 1.5, list: [1, 2]}}\nstrategy: {name: 7-8-4-4, guess: zero}\n");
  const Sweep sweep =
      load(evaluate_with("      cfg: {use: 'p/values.yaml#a.b.c.weight'}\n"
                         "      classes_kept: {use: p/values.yaml#a.b.c.list}\n"
                         "      strategy: {use: p/values.yaml#strategy}\n"));
  EXPECT_EQ(only(sweep, "cfg"), 1.5);
  EXPECT_EQ(only(sweep, "classes_kept"), Json({1, 2}));
  EXPECT_EQ(*guess_of(strategy_from_json(only(sweep, "strategy")).block(0)), Guess::kZero);
}

TEST_F(UseTest, AMapJoinsTheLocalKeysWhichWin) {
  write("base.yaml", "fast: {cfg: 2, num_images: 9, grid: {seed: [1, 2]}}\n");
  const Sweep sweep = load(evaluate_with(
      "      use: base.yaml#fast\n      num_images: 7\n      grid: {attn_temp: [1, 2]}\n"));
  ASSERT_THAT(sweep.points, SizeIs(4));
  EXPECT_EQ(sweep.points[1].settings.at("cfg"), 2.0);
  EXPECT_EQ(sweep.points[1].settings.at("num_images"), 7);
  EXPECT_EQ(sweep.points[1].settings.at("seed"), 1);  // the used axis stands first
  EXPECT_EQ(sweep.points[1].settings.at("attn_temp"), 2.0);
}

TEST_F(UseTest, ALocalAxisReplacesAUsedPlainSettingAndTheOtherWayRound) {
  write("base.yaml", "a: {cfg: 2}\nb: {grid: {cfg: [3, 4], seed: [5]}}\n");
  EXPECT_THAT(load(evaluate_with("      use: base.yaml#a\n      grid: {cfg: [0, 1]}\n")).points,
              SizeIs(2));
  EXPECT_EQ(only(load(evaluate_with("      use: base.yaml#b\n      cfg: 7\n")), "cfg"), 7.0);
}

TEST_F(UseTest, AWholeFileLiesBelowTheSweep) {
  write("common.yaml",
        "models:\n  m: {checkpoint: a_model_4_128_8_2_0.05.pth, image_size: 32, classes: 10}\n"
        "  other: {checkpoint: b_model_4_128_8_2_0.05.pth, image_size: 32, classes: 10}\n"
        "defaults: {model: m, strategy: For, cfg: 1, seed: 4}\nname: common\n");
  const Sweep sweep = load(
      "use: common.yaml\nname: mine\ndefaults: {cfg: 2}\n"
      "models:\n  m: {checkpoint: c_model_4_128_8_2_0.05.pth, image_size: 16, classes: 0}\n"
      "experiments: [evaluate]\n");
  EXPECT_EQ(sweep.name, "mine");
  EXPECT_EQ(only(sweep, "cfg"), 2.0);
  EXPECT_EQ(only(sweep, "seed"), 4);
  EXPECT_EQ(sweep.models.at("m").shape.image_size, 16);
  EXPECT_EQ(sweep.models.count("other"), 1U);
}

TEST_F(UseTest, ItemsOfAUsedListJoinTheList) {
  write("n.yaml", "near: [7-8-8-4, 7-8-9-4]\none: 7-8-5-4\n");
  const Sweep sweep =
      load(evaluate_with("      grid:\n        strategy: [For, {use: n.yaml#near}, {use: "
                         "n.yaml#one}, {use: ['n.yaml#near']}]\n"));
  EXPECT_THAT(sweep.points, SizeIs(4));
  EXPECT_THAT(sweep.warnings, SizeIs(2));  // `near` twice
}

TEST_F(UseTest, SeveralMapsJoinAndTheEarlierWins) {
  write("a.yaml", "x: {cfg: 1, seed: 1}\ny: {seed: 2, batch: 3}\n");
  const Sweep sweep = load(evaluate_with("      use: [a.yaml#x, a.yaml#y]\n"));
  EXPECT_EQ(only(sweep, "seed"), 1);
  EXPECT_EQ(only(sweep, "batch"), 3);
  EXPECT_EQ(only(load(evaluate_with("      use: ['a.yaml#y', 'a.yaml#x']\n")), "seed"), 2);
}

TEST_F(UseTest, TheSameFileIsNamedByNothing) {
  const Sweep sweep = load(std::string(kModels) +
                           "defaults: {model: m, strategy: For, cfg: 3}\n"
                           "experiments:\n  - evaluate: {seed: 1, batch: 5}\n"
                           "  - evaluate: {use: '#defaults', seed: 2}\n");
  EXPECT_THAT(sweep.points, SizeIs(2));
  EXPECT_EQ(sweep.points[1].settings.at("cfg"), 3.0);
}

TEST_F(UseTest, FilesAreLookedForBesideTheFileThatNamesThemThenInPresetFolders) {
  write("deep/a.yaml", "v: {use: b.yaml#v}\n");
  write("deep/b.yaml", "v: 5\n");
  write("shipped/paper.yaml", "v: 6\n");
  EXPECT_EQ(only(load(evaluate_with("      cfg: {use: deep/a.yaml#v}\n")), "cfg"), 5.0);
  EXPECT_EQ(only(with(evaluate_with("      cfg: {use: paper.yaml#v}\n"),
                      {.preset_folders = {folder_ / "shipped"}}),
                 "cfg"),
            6.0);
}

TEST_F(UseTest, PathsOfAUsedFileAreRelativeToIt) {
  write("deep/pictures/a.png", "x");
  write("pictures/a.png", "x");
  write("models/a.txt", "x");
  write("deep/a.yaml", "s: {images: pictures, model: m}\nn: {images: models/a.txt}\n");
  const std::string text =
      std::string(kModels) + "experiments:\n  - measure: {use: deep/a.yaml#s}\n";
  EXPECT_EQ(only(load(text), "images"), (folder_ / "deep/pictures").string());
  const std::string root =
      std::string(kModels) + "experiments:\n  - measure: {use: deep/a.yaml#n, model: m}\n";
  EXPECT_EQ(only(load(root), "images"), (folder_ / "models/a.txt").string());
}

TEST_F(UseTest, ErrorsNameTheFileTheyAreInAndTheWayThere) {
  write("b.yaml", "s:\n  cgf: 1\n  seed: x\n");
  write("a.yaml", "t:\n  use: b.yaml#s\n");
  EXPECT_THAT(
      wrong(evaluate_with("      use: a.yaml#t\n")),
      ElementsAre(
          AllOf(
              HasSubstr("b.yaml:2:3 `evaluate` has no key `cgf` | did you mean `cfg`?\n  used in "),
              HasSubstr("a.yaml:2:8, used in "), HasSubstr("test.yaml:7:12")),
          HasSubstr("b.yaml:3:9 `seed`: expected an integer, found the text `x` | used in ")));
}

TEST_F(UseTest, AContradictionBetweenTwoFilesNamesBoth) {
  write("b.yaml", "near: [{name: 7-8-4-4, guess: zero}]\n");
  EXPECT_THAT(
      wrong(evaluate_with("      grid:\n        strategy: [7-8-4-4, {use: b.yaml#near}]\n")),
      ElementsAre(AllOf(
          HasSubstr(
              "b.yaml:1:8 this strategy is called `[7-8-4-4]`, as the different one on line 8 of "),
          HasSubstr("test.yaml | "))));
}

TEST_F(UseTest, UsesThatFailAreLocated) {
  write("b.yaml", "s: {cfg: 1}\nlist: [1]\n");
  write("circle.yaml", "a: {use: 'circle.yaml#b'}\nb: {use: '#a'}\n");
  write("bad.yaml", "a: [1\n");
  const auto one = [&](const std::string& use) {
    return wrong(evaluate_with("      cfg: {use: " + use + "}\n"));
  };
  EXPECT_THAT(one("gone.yaml#s"),
              ElementsAre(HasSubstr("test.yaml:7:18 there is no file gone.yaml | looked for in ")));
  EXPECT_THAT(one("b.yaml#t"),
              ElementsAre(AllOf(HasSubstr("test.yaml:7:18 "),
                                HasSubstr("b.yaml has no `t` | did you mean `s`?"))));
  EXPECT_THAT(one("b.yaml#s.cgf"),
              ElementsAre(AllOf(HasSubstr("b.yaml has no `s.cgf` | did you mean `cfg`?"))));
  EXPECT_THAT(one("b.yaml#s.cfg.x"),
              ElementsAre(HasSubstr("b.yaml has no keys below `s.cfg`: it is the number `1` | ")));
  EXPECT_THAT(one("'circle.yaml#a'"), ElementsAre(AllOf(HasSubstr("`use` leads in a circle: "),
                                                        HasSubstr("circle.yaml:2:10"))));
  EXPECT_THAT(one("bad.yaml"),
              ElementsAre(AllOf(HasSubstr("bad.yaml:2:"), HasSubstr("not valid YAML"),
                                HasSubstr("used in "))));
  EXPECT_THAT(
      one("[b.yaml#s, b.yaml#list]"),
      ElementsAre(HasSubstr("test.yaml:7:13 only lists, or only maps, can be used together")));
  EXPECT_THAT(
      one("{a: 1}"),
      ElementsAre(HasSubstr("test.yaml:7:18 `use`: expected FILE or FILE#key, found a map")));
  EXPECT_THAT(one("[]"), ElementsAre(HasSubstr("test.yaml:7:18 `use` is an empty list")));
  EXPECT_THAT(one("'#'"), ElementsAre(HasSubstr("test.yaml:7:18 `use` names no file")));
  EXPECT_THAT(
      wrong(evaluate_with("      use: b.yaml#list\n      cfg: 1\n")),
      ElementsAre(HasSubstr("test.yaml:7:7 `use` beside other keys takes a map, found a list")));
}

TEST_F(UseTest, WhatAFailedUseWouldHaveBroughtIsNotReportedAsLacking) {
  EXPECT_THAT(wrong("use: gone.yaml\nexperiments:\n  - evaluate: {model: m, cgf: 1}\n"),
              ElementsAre(HasSubstr("1:6 there is no file gone.yaml"),
                          HasSubstr("3:26 `evaluate` has no key `cgf`")));
}

TEST_F(UseTest, AChainThatIsTooLongAndOneThatGrowsAreRefused) {
  for (int i = 0; i < 20; ++i) {
    write(fmt::format("f{}.yaml", i), fmt::format("v: {{use: f{}.yaml#v}}\n", i + 1));
  }
  EXPECT_THAT(wrong(evaluate_with("      cfg: {use: f0.yaml#v}\n")),
              ElementsAre(HasSubstr("f15.yaml:1:10 `use` leads through more than 16 files")));
  std::string bomb = "a0: [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("a{}: [", i);
    for (int k = 0; k < 10; ++k) bomb += fmt::format("{{use: '#a{}'}},", i - 1);
    bomb += "]\n";
  }
  write("bomb.yaml", bomb);
  EXPECT_THAT(wrong(evaluate_with("      classes_kept: {use: bomb.yaml#a11}\n")),
              ElementsAre(HasSubstr("all files of the sweep hold more than 1000000 values")));
}

TEST_F(UseTest, TheEnvironmentIsPutIntoValues) {
  ::setenv("TARFLOW_TEST_CFG", "2.5", 1);
  ::unsetenv("TARFLOW_TEST_NONE");
  const Sweep sweep =
      load(evaluate_with("      cfg: ${env:TARFLOW_TEST_CFG}\n"
                         "      seed: ${env:TARFLOW_TEST_NONE:-7}\n"
                         "      note: \"a ${env:TARFLOW_TEST_CFG} $${env:X} $5\"\n"));
  EXPECT_EQ(only(sweep, "cfg"), 2.5);
  EXPECT_EQ(only(sweep, "seed"), 7);
  EXPECT_EQ(only(sweep, "note"), "a 2.5 ${env:X} $5");
}

TEST_F(UseTest, TheEnvironmentIsNoYaml) {
  ::setenv("TARFLOW_TEST_CFG", "[1, 2]", 1);
  EXPECT_THAT(wrong(evaluate_with("      cfg: ${env:TARFLOW_TEST_CFG}\n")),
              ElementsAre(HasSubstr("7:12 `cfg`: expected a number, found the text `[1, 2]`")));
}

TEST_F(UseTest, ReferencesThatCannotBeEvaluated) {
  ::unsetenv("TARFLOW_TEST_NONE");
  const auto one = [&](const std::string& value) {
    return wrong(evaluate_with("      note: " + value + "\n"));
  };
  EXPECT_THAT(
      one("x ${env:TARFLOW_TEST_NONE}"),
      ElementsAre(AllOf(HasSubstr("7:15 the environment variable `TARFLOW_TEST_NONE` is not set"),
                        HasSubstr(":-default"))));
  EXPECT_THAT(one("'ä $${x} ${HOME}'"),
              ElementsAre(HasSubstr("7:22 `${HOME}` is not evaluated: only `${env:NAME}` is")));
  EXPECT_THAT(one("${env:A"), ElementsAre(HasSubstr("7:13 `${` is not closed")));
  EXPECT_THAT(one("${env:1A}"),
              ElementsAre(HasSubstr("7:13 `1A` cannot be the name of an environment variable")));
  EXPECT_THAT(one("${oc.env:A}"), ElementsAre(HasSubstr("`${oc.env:A}` is not evaluated")));
}

TEST_F(UseTest, NamedStrategiesAreCalledByTheirNames) {
  const std::string top =
      "strategies:\n  fast: 7-8-4-4\n  exact: {blocks: {else: sequential}, label: all steps}\n";
  const Sweep sweep = load(evaluate_with("      grid: {strategy: [fast, exact, [fast]]}\n") + top);
  ASSERT_THAT(sweep.points, SizeIs(2));
  EXPECT_EQ(sweep.points[0].settings.at("strategy").at("name"), "fast");
  EXPECT_EQ(sweep.points[1].settings.at("strategy").at("name"), "all steps");
  const Sweep plain = load(evaluate_with("      strategy: [7-8-4-4]\n"));
  EXPECT_EQ(plain.points[0].id, sweep.points[0].id);
  EXPECT_THAT(wrong(evaluate_with("      strategy: fats\n") + top),
              ElementsAre(HasSubstr("7:17 there is no strategy `fats` | did you mean `fast`?")));
  EXPECT_THAT(wrong(evaluate_with("") + "strategies: {for: 7-8-4-4, a: 7-8-4}\n"),
              ElementsAre(HasSubstr("7:14 `for` is the name of a published strategy"),
                          HasSubstr("7:31 `7-8-4` is not a strategy: it has 3 parts")));
}

TEST_F(UseTest, SetReplacesPlainValuesAndAxes) {
  const std::string text = evaluate_with("      cfg: 1\n      grid: {seed: [1, 2]}\n") +
                           "  - evaluate: {seed: 9, zip: {cfg: [5, 6], num_images: [7, 8]}}\n";
  EXPECT_THAT(with(text, {.set = {"cfg=2"}}).points, SizeIs(4));
  for (const Point& point : with(text, {.set = {"cfg=2"}}).points)
    EXPECT_EQ(point.settings.at("cfg"), 2.0);
  const Sweep axis =
      with(evaluate_with("      grid: {seed: [1, 2]}\n"), {.set = {"seed=[4, 5, 6]"}});
  EXPECT_THAT(axis.points, SizeIs(3));
  EXPECT_EQ(
      only(with(evaluate_with("      grid: {seed: [1, 2]}\n"), {.set = {"evaluate.seed = 3"}}),
           "seed"),
      3);
  EXPECT_EQ(only(with(evaluate_with(""), {.set = {"seed=1", "seed=2"}}), "seed"), 2);
  EXPECT_EQ(only(with(evaluate_with(""), {.set = {"strategy=[7-8-4-4]"}}), "strategy").at("name"),
            "[7-8-4-4]");
  EXPECT_EQ(only(with(evaluate_with(""), {.set = {"classes_kept=[1,2]"}}), "classes_kept"),
            Json({1, 2}));
}

TEST_F(UseTest, SetReachesModelsRunNameStrategiesAndDefaults) {
  const Sweep sweep =
      with(evaluate_with(""),
           {.set = {"models.m.checkpoint=z_model_4_128_8_2_0.05.pth", "models.m.classes=3",
                    "run.retries=2", "name=other", "defaults.seed=8", "strategies.mine=7-8-4-4"}});
  EXPECT_EQ(sweep.models.at("m").checkpoint.filename(), "z_model_4_128_8_2_0.05.pth");
  EXPECT_EQ(sweep.models.at("m").shape.classes, 3);
  EXPECT_EQ(sweep.points.at(0).run->retries, 2);
  EXPECT_EQ(sweep.name, "other");
  EXPECT_EQ(only(sweep, "seed"), 8);
}

TEST_F(UseTest, SetsThatAreWrongAreLocatedInTheirText) {
  const auto one = [&](const std::string& set) { return wrong(evaluate_with(""), {.set = {set}}); };
  EXPECT_THAT(
      one("cgf=1"),
      ElementsAre("--set:1:1 no experiment of the sweep has a `cgf` | did you mean `cfg`?"));
  EXPECT_THAT(one("cfg=much"),
              ElementsAre(HasSubstr("--set:1:5 `cfg`: expected a number, found the text `much`")));
  EXPECT_THAT(one("cfg="),
              ElementsAre(HasSubstr("--set:1:5 `cfg`: expected a number, found nothing")));
  EXPECT_THAT(one("evaluate.cgf=1"),
              ElementsAre("--set:1:1 `evaluate` has no key `cgf` | did you mean `cfg`?"));
  EXPECT_THAT(
      one("evaluat.cfg=1"),
      ElementsAre("--set:1:1 the sweep has no experiment `evaluat` | did you mean `evaluate`?"));
  EXPECT_THAT(one("models.n.classes=1"),
              ElementsAre(HasSubstr("--set:1:1 there is no `n` in `models` | did you mean `m`?")));
  EXPECT_THAT(one("models.m.clases=1"),
              ElementsAre("--set:1:1 a model has no key `clases` | did you mean `classes`?"));
  EXPECT_THAT(one("run.retrys=1"),
              ElementsAre("--set:1:1 `run` has no key `retrys` | did you mean `retries`?"));
  EXPECT_THAT(one("run=1"),
              ElementsAre(HasSubstr("--set:1:1 `run` names nothing that can be set")));
  EXPECT_THAT(one("cfg"), ElementsAre(HasSubstr("--set:1:1 `cfg` is not key=value")));
  EXPECT_THAT(one("cfg=[1"),
              ElementsAre(AllOf(HasSubstr("--set:1:"), HasSubstr("not valid YAML"))));
}

TEST_F(UseTest, OnlySelectsPoints) {
  const std::string text =
      evaluate_with("      grid: {cfg: [0, 1, 2], strategy: [For, [7-8-4-4]]}\n") +
      "  - measure: {images: p}\n";
  const auto selected = [&](std::vector<std::string> only) {
    std::string kept;
    for (const Point& point : with(text, {.only = std::move(only)}).points)
      kept += point.selected ? 'x' : '.';
    return kept;
  };
  EXPECT_EQ(selected({}), "xxxxxxx");
  EXPECT_EQ(selected({"cfg=2"}), "....xx.");
  EXPECT_EQ(selected({"cfg=0,2.0"}), "xx..xx.");
  EXPECT_EQ(selected({"cfg>=1"}), "..xxxx.");
  EXPECT_EQ(selected({"cfg>1"}), "....xx.");
  EXPECT_EQ(selected({"cfg<1"}), "xx.....");
  EXPECT_EQ(selected({"cfg!=1"}), "xx..xx.");
  EXPECT_EQ(selected({"strategy=[7-8-4-4]"}), ".x.x.x.");
  EXPECT_EQ(selected({"strategy=[7-8-4-4],For", "cfg<=0"}), "xx.....");
  EXPECT_EQ(selected({"segments=8"}), ".x.x.x.");
  EXPECT_EQ(selected({"iterations<=4", "else>3", "stack=7", "cfg=1"}), "...x...");
  EXPECT_EQ(selected({"experiment=measure"}), "......x");
  EXPECT_EQ(selected({"model=m", "experiment!=measure", "cfg=1"}), "..xx...");
}

TEST_F(UseTest, OnlySelectsByTheNumbersOfWindows) {
  const Sweep sweep =
      with(evaluate_with("      grid: {strategy: [Window-4, Window-8-0.05, For]}\n"),
           {.only = {"window>=8", "tolerance=0.05"}});
  std::string kept;
  for (const Point& point : sweep.points) kept += point.selected ? 'x' : '.';
  EXPECT_EQ(kept, ".x.");
}

TEST_F(UseTest, OnlyThatSelectsNothingListsWhatThereIs) {
  const auto one = [&](std::vector<std::string> only) {
    return wrong(evaluate_with("      grid: {cfg: [0, 1], strategy: [For, [7-8-4-4]]}\n"),
                 {.only = std::move(only)});
  };
  EXPECT_THAT(one({"cfg=3"}), ElementsAre("--only:1:1 no point has cfg=3 | there are: 0.0, 1.0"));
  EXPECT_THAT(
      one({"strategy=[7-9-4-4]"}),
      ElementsAre("--only:1:1 no point has strategy=[7-9-4-4] | there are: For, [7-8-4-4]"));
  EXPECT_THAT(one({"segments=4"}),
              ElementsAre("--only:1:1 no point has segments=4 | there are: 8"));
  EXPECT_THAT(one({"window=64"}),
              ElementsAre("--only:1:1 no point has window=64 | no point has a `window`"));
  EXPECT_THAT(
      one({"cgf=3"}),
      ElementsAre("--only:1:1 no experiment of the sweep has a `cgf` | did you mean `cfg`?"));
  EXPECT_THAT(one({"cfg=x"}),
              ElementsAre(HasSubstr("--only:1:5 `cfg`: expected a number, found the text `x`")));
  EXPECT_THAT(one({"experiment=evaluat"}),
              ElementsAre("--only:1:1 no point has experiment=evaluat | there are: evaluate"));
  EXPECT_THAT(one({"cfg"}), ElementsAre(HasSubstr("--only:1:1 `cfg` is not a condition")));
  EXPECT_THAT(one({"strategy>For"}),
              ElementsAre(HasSubstr("`strategy` is a strategy, of which there is no `above`")));
  EXPECT_THAT(one({"cfg=0", "cfg=1"}),
              ElementsAre(HasSubstr("no point matches all of cfg=0 and cfg=1")));
}

TEST_F(UseTest, RunSettingsOfTheSweepAndOfAnExperiment) {
  const Sweep sweep =
      load(evaluate_with("      run: {retries: 5, time_limit: 2h}\n") +
           "  - evaluate: {seed: 1}\n"
           "run: {retries: 1, backoff: 30s, time_limit: 10 min, workers: 2, fail_fast: true, "
           "merge_limit: 1.5 TB}\n");
  const RunSettings& own = *sweep.points.at(0).run;
  EXPECT_EQ(own.retries, 5);
  EXPECT_EQ(own.backoff, 30);
  EXPECT_EQ(own.time_limit, 7200);
  const RunSettings& shared = *sweep.points.at(1).run;
  RunSettings expected;
  expected.workers = 2;
  expected.retries = 1;
  expected.backoff = 30;
  expected.fail_fast = true;
  expected.time_limit = 600;
  expected.merge_limit = 1'500'000'000'000;
  EXPECT_EQ(shared, expected);
  EXPECT_EQ(own.merge_limit, expected.merge_limit) << "of the whole sweep";
  EXPECT_EQ(sweep.points[0].id, load(evaluate_with("")).points[0].id);
}

TEST_F(UseTest, RunSettingsThatAreWrong) {
  EXPECT_THAT(
      wrong(evaluate_with("      run: {workers: 2, retrys: 1}\n") +
            "run: {retries: -1, backoff: 3 m, time_limit: [1], gpus: 65, exclusive: yes}\n"),
      ElementsAre(
          HasSubstr("7:13 `workers` holds for the whole sweep"),
          HasSubstr("7:25 `run` has no key `retrys` | did you mean `retries`?"),
          HasSubstr("8:16 `retries` is -1, below its minimum of 0"),
          HasSubstr(
              "8:29 `backoff`: expected a duration, found the text `3 m` | a number of seconds"),
          HasSubstr("8:46 `time_limit`: expected a duration, found a list"),
          HasSubstr("8:57 `gpus` is 65, above its maximum of 64"),
          HasSubstr("8:72 `exclusive`: expected true or false")));
}

TEST_F(UseTest, ProcessesOfAJobFollowFromItsRunSettings) {
  const auto run_of = [&](const std::string& own, const std::string& shared) {
    return *load(evaluate_with("      run: " + own + "\n") + "run: " + shared + "\n")
                .points.at(0)
                .run;
  };
  EXPECT_EQ(RunSettings().processes(), 1);
  EXPECT_EQ(run_of("{gpus: 8}", "{nodes: 2}").processes(), 16) << "one a GPU";
  const RunSettings on_cpus = run_of("{nodes: 3}", "{gpus: 0, ranks: 4}");
  EXPECT_EQ(on_cpus.processes_per_node(), 4);
  EXPECT_EQ(on_cpus.processes(), 12);
  EXPECT_EQ(on_cpus.nodes_at.place.line, 7);
  EXPECT_EQ(on_cpus.nodes_at.place.column, 13);
  EXPECT_EQ(run_of("{gpus: 2}", "{gpus: 0, ranks: 4}").processes(), 2) << "ranks are the CPU's";
  EXPECT_THAT(wrong(evaluate_with("      run: {ranks: 2}\n")),
              ElementsAre(HasSubstr("7:13 `ranks` counts processes on the CPU, but gpus is 1 | "
                                    "state gpus: 0")));
  EXPECT_THAT(wrong(evaluate_with("      run: {nodes: 0}\n")),
              ElementsAre(HasSubstr("`nodes` is 0, below its minimum of 1")));
}

TEST_F(UseTest, AnExperimentOfOneProcessTakesOneOfWhatAllAreGiven) {
  const std::string measure = "  - measure: {model: m, images: images%s}\n";
  const auto with = [&](const std::string& own) {
    std::string text = measure;
    return text.replace(text.find("%s"), 2, own);
  };
  const Sweep sweep = load(evaluate_with("") + with("") + "run: {gpus: 4, nodes: 2, retries: 3}\n");
  ASSERT_EQ(sweep.points.at(1).experiment, "measure");
  EXPECT_EQ(sweep.points[0].run->processes(), 8);
  EXPECT_EQ(sweep.points[1].run->processes(), 1);
  EXPECT_EQ(sweep.points[1].run->gpus, 1);
  EXPECT_EQ(sweep.points[1].run->retries, 3);
  EXPECT_THAT(wrong(evaluate_with("") + with(", run: {gpus: 4, nodes: 2}")),
              ElementsAre(HasSubstr("measure runs in one process, but `gpus` is 4"),
                          HasSubstr("measure runs in one process, but `nodes` is 2")));
}

}  // namespace
}  // namespace tarflow::sweep
