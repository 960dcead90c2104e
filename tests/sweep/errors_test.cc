// Everything that can be wrong with a sweep file, with the place at which it is reported.
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Case {
  const char* settings;  // below `evaluate:`; its first line is line 7
  const char* expected;  // "line:column what"
  const char* repair;    // part of it
};

class SettingsErrors : public SweepTest, public ::testing::WithParamInterface<Case> {};

TEST_P(SettingsErrors, AreLocated) {
  const Case& c = GetParam();
  EXPECT_THAT(errors(evaluate_with(c.settings)), ElementsAre(c.expected)) << c.settings;
  EXPECT_THAT(repairs_, Contains(HasSubstr(c.repair)));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, SettingsErrors,
    ::testing::Values(
        Case{"      cgf: 1\n", "7:7 `evaluate` has no key `cgf`", "did you mean `cfg`?"},
        Case{"      cfg: 1\n      cfg: 2\n", "8:7 `cfg` is stated twice, first on line 7",
             "keep one"},
        Case{"      cfg: [1, 2]\n", "7:12 `cfg`: expected a number, found a list",
             "write it under `grid:`, grid: {cfg: [1, 2]}"},
        Case{"      cfg: {a: 1}\n", "7:12 `cfg`: expected a number, found a map", ""},
        Case{"      cfg: much\n", "7:12 `cfg`: expected a number, found the text `much`", ""},
        Case{"      cfg: \"1\"\n", "7:12 `cfg`: expected a number, found the text `1`",
             "remove the quotes"},
        Case{"      cfg: 1_000\n", "7:12 `cfg`: expected a number, found the text `1_000`", ""},
        Case{"      cfg: 0x10\n", "7:12 `cfg`: expected a number, found the text `0x10`", ""},
        Case{"      cfg: null\n", "7:12 `cfg`: expected a number, found nothing", "remove the key"},
        Case{"      cfg: .inf\n", "7:12 `cfg` is .inf, not a finite number", ""},
        Case{"      cfg: .nan\n", "7:12 `cfg` is .nan, not a finite number", ""},
        Case{"      cfg: 1e999\n", "7:12 `cfg` is 1e999, out of the range of numbers", ""},
        Case{"      cfg: -0.5\n", "7:12 `cfg` is -0.5, below its minimum of 0", ""},
        Case{"      attn_temp: 11\n", "7:18 `attn_temp` is 11, above its maximum of 10", ""},
        Case{"      num_images: 0\n", "7:19 `num_images` is 0, below its minimum of 1", ""},
        Case{"      num_images: 2.5\n",
             "7:19 `num_images`: expected an integer, found the number `2.5`", ""},
        Case{"      seed: 99999999999999999999\n",
             "7:13 `seed` is 99999999999999999999, too large for an integer", ""},
        Case{"      exact: yes\n", "7:14 `exact`: expected true or false, found `yes`",
             "write `true`"},
        Case{"      exact: Off\n", "7:14 `exact`: expected true or false, found `Off`",
             "write `false`"},
        Case{"      exact: 3\n", "7:14 `exact`: expected true or false, found the number `3`", ""},
        Case{"      norm: frob\n", "7:13 `norm` cannot be `frob`", "did you mean `fro`?"},
        Case{"      note: [a]\n", "7:13 `note`: expected text, found a list", ""},
        Case{"      note: ''\n", "7:13 `note` is empty", ""},
        Case{"      note: \"a\\0b\"\n",
             "7:13 `note` holds a line break or another control character", ""},
        Case{"      classes_kept: 3\n",
             "7:21 `classes_kept`: expected a list, found the number `3`", "write `[3]`"},
        Case{"      classes_kept: [1, 12]\n", "7:25 `classes_kept` is 12, above its maximum of 9",
             ""},
        Case{"      classes_kept: []\n", "7:21 `classes_kept` is an empty list", "at least one"},
        Case{"      scales: [1, x]\n", "7:19 `scales`: expected a number, found the text `x`", ""},
        Case{"      model: n\n", "7:14 there is no model `n`", "did you mean `m`?"},
        Case{"      images: {published: a}\n", "7:15 `images` has no `path`", ""}));

INSTANTIATE_TEST_SUITE_P(
    Grid, SettingsErrors,
    ::testing::Values(
        Case{"      grid: 3\n",
             "7:13 `grid`: expected a map (`key: value` lines), found the number `3`", ""},
        Case{"      grid: {}\n", "7:13 `grid` is an empty map", "at least one"},
        Case{"      grid: {cfg: []}\n", "7:19 `cfg` is an empty list", "at least one"},
        Case{"      grid: {cfg: 1}\n", "7:19 `cfg`: expected a list, found the number `1`",
             "write `[1]`"},
        Case{"      grid: {cfg: {min: 1}}\n", "7:19 `cfg`: expected a list, found a map",
             "begin each item of the list with `- `"},
        Case{"      grid: {cgf: [1]}\n", "7:14 the grid of `evaluate` has no key `cgf`",
             "did you mean `cfg`?"},
        Case{"      cfg: 1\n      grid: {cfg: [1]}\n",
             "8:14 `cfg` is in the grid and also set on line 7", "keep one"},
        Case{"      grid: {cfg: [0, 1, -1]}\n", "7:26 `cfg` is -1, below its minimum of 0", ""},
        Case{"      grid:\n        cfg: [0]\n        cfg: [1]\n",
             "9:9 `cfg` is stated twice, first on line 8", ""}));

INSTANTIATE_TEST_SUITE_P(
    Strategies, SettingsErrors,
    ::testing::Values(
        Case{"      strategy: fore\n", "7:17 `fore` is not a strategy: the name is not known",
             "[Stack-GS-J-Else]"},
        Case{"      strategy: '[7-8-32]'\n",
             "7:17 `[7-8-32]` is not a strategy: it has 3 parts instead of 4", ""},
        Case{"      strategy: '[7-x-32-10]'\n",
             "7:17 `[7-x-32-10]` is not a strategy: GS `x` is not a number", ""},
        Case{"      strategy: '[0/7-8/8/8-32-10]'\n",
             "7:17 `[0/7-8/8/8-32-10]` is not a strategy: GS has 3 values for 2 blocks", ""},
        Case{"      strategy: '[7/7-8-32-10]'\n",
             "7:17 `[7/7-8-32-10]` is not a strategy: block 7 occurs twice in Stack", ""},
        Case{"      strategy: '[7-8-0-10]'\n",
             "7:17 `[7-8-0-10]` is not a strategy: J is at least 1", ""},
        Case{"      strategy: '[7-8-32-0]'\n",
             "7:17 `[7-8-32-0]` is not a strategy: Else is at least 1", ""},
        Case{"      strategy: '[7-8-32-1/2]'\n",
             "7:17 `[7-8-32-1/2]` is not a strategy: Else is one number", ""},
        Case{"      strategy: [8-8-32-10]\n",
             "7:17 [8-8-32-10] names block 8, but the model has 8 blocks", "blocks are 0 to 7"},
        Case{"      strategy: [7-65-32-10]\n", "7:17 65 segments for the 64 tokens of the model",
             "at most 64"},
        Case{"      strategy: [For, 7-8-32-10]\n", "7:17 expected one strategy, found a list of 2",
             "`grid:`"},
        Case{"      strategy: {}\n", "7:17 this map states no strategy", "`num_GS_list`"},
        Case{"      strategy: {name: For, guess: zero}\n",
             "7:29 sequential sampling has no initial guess, so `guess` does nothing", "remove"},
        Case{"      strategy: {name: 7-8-4-4, guess: one}\n",
             "7:40 `guess`: expected an initial guess, found the text `one`", "0 or z"},
        Case{"      strategy: {name: 7-8-4-4, guess: z, guess_list: [0]}\n",
             "7:43 `guess_list` beside `guess`", ""},
        Case{"      strategy: {name: 7-8-4-4, guess_list: [0, 1]}\n",
             "7:45 `guess_list` has 2 entries, but the model has 8 blocks", "last block first"},
        Case{"      strategy: {name: 7-8-4-4, gess: z}\n",
             "7:33 a strategy given by its name has no key `gess`", "did you mean `guess`?"},
        Case{
            "      strategy: {num_GS_list: [1, 1, 1], max_jacobi_list: [1, 1, 1, 1, 1, 1, 1, 1]}\n",
            "7:31 `num_GS_list` has 3 entries, but the model has 8 blocks", ""},
        Case{"      strategy: {num_GS_list: [1, 1, 1, 1, 1, 1, 1, 1]}\n",
             "7:17 block 7 is not sequential and needs at least 1 Jacobi iteration",
             "max_jacobi_list"},
        Case{"      strategy: {num_GS_list: [1, 1, 1, 0, 1, 1, 1, 1], max_jacobi_list: [1, 1, 0, "
             "0, 1, 1, 1, 1]}\n",
             "7:81 block 5 is not sequential and needs at least 1 Jacobi iteration", ""},
        Case{"      strategy: {num_GS_list: [1, 1, 1, 99, 1, 1, 1, 1], max_jacobi_list: [1, 1, 1, "
             "1, 1, 1, 1, 1]}\n",
             "7:41 99 segments for the 64 tokens of the model", ""},
        Case{"      strategy: {max_jacobi_list: [1, 1, 1, 1, 1, 1, 1, 1]}\n",
             "7:17 `max_jacobi_list` without `num_GS_list`", ""},
        Case{"      strategy: {name: 7-8-4-4, label: 6-8-4-4}\n",
             "7:40 the label `6-8-4-4` is the name of another strategy", "another label"},
        Case{"      strategy: {name: 7-8-4-4, label: ''}\n", "7:40 `label` is empty", ""}));

INSTANTIATE_TEST_SUITE_P(
    BlockMaps, SettingsErrors,
    ::testing::Values(
        Case{"      strategy: {blocks: {}}\n", "7:26 `blocks` is an empty map", ""},
        Case{"      strategy: {blocks: {7: sequential}}\n",
             "7:26 no method is stated for block 0, 1, 2, 3, 4, 5, 6", "`else: ...`"},
        Case{"      strategy: {blocks: {8: sequential, else: sequential}}\n",
             "7:27 block 8 of a model with 8 blocks", "0 to 7"},
        Case{"      strategy: {blocks: {x: sequential, else: sequential}}\n",
             "7:27 `x` is not a block", "0/6"},
        Case{"      strategy: {blocks: {7: sequential, 0/7: sequential, else: sequential}}\n",
             "7:42 block 7 is stated twice", ""},
        Case{"      strategy: {blocks: {0/1/2/3/4/5/6/7: sequential, else: sequential}}\n",
             "7:56 `else` stands for no block: all are stated", ""},
        Case{"      strategy: {blocks: {else: {segments: 4}}}\n",
             "7:33 a block that is not sequential needs `max_iterations`", ""},
        Case{"      strategy: {blocks: {else: {max_iterations: 4}}}\n",
             "7:33 a block needs `segments`", ""},
        Case{"      strategy: {blocks: {else: {segments: 65, max_iterations: 4}}}\n",
             "7:44 65 segments for the 64 tokens of the model", ""},
        Case{"      strategy: {blocks: {else: {segments: 0, clamp: 3}}}\n",
             "7:47 a sequential block has no use for `clamp`", ""},
        Case{"      strategy: {blocks: {else: {segments: 1, max_iterations: 0}}}\n",
             "7:63 `max_iterations` is 0, below its minimum of 1", ""},
        Case{"      strategy: {blocks: {else: {segments: 1, max_iterations: 1, clamp: -3}}}\n",
             "7:73 `clamp` is -3, below its minimum of 0", ""},
        Case{"      strategy: {blocks: {else: {segments: 1, max_iterations: 1, stop: 3}}}\n",
             "7:72 `stop`: expected a map (`key: value` lines), found the number `3`", ""},
        Case{"      strategy: {blocks: {else: {segments: 1, max_iterations: 1, stop: {publshed: "
             "3}}}}\n",
             "7:73 `stop` has no key `publshed`", "did you mean `published`?"},
        Case{"      strategy: {blocks: {else: {segmets: 1, max_iterations: 1, segments: 1}}}\n",
             "7:34 a block has no key `segmets`", "did you mean `segments`?"}));

TEST_F(SweepTest, SourceLineAndCaretStandBelowTheMessage) {
  try {
    load_sweep(write("test.yaml", evaluate_with("      cfg: much\n")), test_schemas(),
               {.allow_missing = true});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("test.yaml:7:12: `cfg`: expected a number, found the text `much`\n"
                          "        cfg: much\n"
                          "             ^"));
  }
}

TEST_F(SweepTest, AllProblemsAreReportedAtOnceInTheOrderOfTheFile) {
  EXPECT_THAT(errors("models:\n"
                     "  m: {checkpont: a.pth, checkpoint: x_model_4_128_8_2_0.05.pth, image_size: "
                     "32, classes: -1}\n"
                     "nam: x\n"
                     "experiments:\n"
                     "  - evaluat: {cfg: 1}\n"
                     "  - evaluate: {model: m, strategy: [7-8-4], cfg: x, seed: y}\n"
                     "  - measure: {model: m}\n"),
              ElementsAre("2:7 a model has no key `checkpont`",
                          "2:90 `classes` is -1, below its minimum of 0",
                          "3:1 a sweep has no key `nam`", "5:5 there is no experiment `evaluat`",
                          "6:36 `7-8-4` is not a strategy: it has 3 parts instead of 4",
                          "6:50 `cfg`: expected a number, found the text `x`",
                          "6:59 `seed`: expected an integer, found the text `y`",
                          "7:5 `measure` needs `images`"));
}

TEST_F(SweepTest, ManyProblemsAreCounted) {
  std::string text = evaluate_with("");
  for (int i = 0; i < 70; ++i) text += fmt::format("      key{}x: 1\n", i);
  const auto found = errors(text);
  ASSERT_EQ(found.size(), 51U);
  EXPECT_THAT(found.back(), HasSubstr("and 20 more"));
}

TEST_F(SweepTest, ADefaultThatIsWrongIsReportedOnce) {
  EXPECT_THAT(errors(std::string(kModels) + "defaults: {model: m, num_images: x, strategy: For}\n"
                                            "experiments: [evaluate, evaluate]\n"),
              ElementsAre("4:34 `num_images`: expected an integer, found the text `x`"));
}

TEST_F(SweepTest, TopLevelErrors) {
  EXPECT_THAT(errors("experiments: []\n"), ElementsAre("1:14 `experiments` is an empty list"));
  EXPECT_THAT(errors("models:\n"), Contains("1:1 the sweep has no `experiments:`"));
  EXPECT_THAT(errors("experiments:\n"),
              ElementsAre("1:1 `experiments`: expected a list, found nothing"));
  EXPECT_THAT(errors("[1]\n"),
              ElementsAre("1:1 a sweep is a map of `experiments:` and more, found a list"));
  EXPECT_THAT(errors(""), ElementsAre(HasSubstr("found nothing")));
  EXPECT_THAT(errors("# only a comment\n"), ElementsAre(HasSubstr("found nothing")));
  EXPECT_THAT(
      errors(evaluate_with("") + "name: a/b\n"),
      ElementsAre("7:7 `a/b` cannot be the name of a sweep, which names its results' file"));
  EXPECT_THAT(errors(std::string(kModels) + "defaults: {modle: m}\nexperiments: [measure]\n"),
              Contains("4:12 no experiment: `defaults` has no key `modle`"));
}

TEST_F(SweepTest, ExperimentsThatAreNotIndentedEnough) {
  const auto found = errors(std::string(kModels) +
                            "experiments:\n  - evaluate:\n    model: m\n    strategy: For\n");
  EXPECT_THAT(found, ElementsAre("6:5 `model` stands beside `evaluate`, not below it"));
  EXPECT_THAT(repairs_, Contains(HasSubstr("indent")));
  EXPECT_THAT(errors("experiments:\n  - [a]\n"),
              ElementsAre("2:5 expected an experiment, found a list"));
}

TEST_F(SweepTest, MissingRequiredFieldsNameTheirDescription) {
  EXPECT_THAT(errors(std::string(kModels) + "experiments:\n  - evaluate: {model: m}\n"),
              ElementsAre("5:5 `evaluate` needs `strategy`"));
  EXPECT_THAT(repairs_, Contains("strategy: the strategy"));
}

TEST_F(SweepTest, GridsThatAreTooLarge) {
  std::string list;
  for (int i = 1; i <= 1100; ++i) list += fmt::format("{}{}", i == 1 ? "" : ", ", i);
  EXPECT_THAT(
      errors(evaluate_with(fmt::format(
          "      grid:\n        cfg: [{0}]\n        seed: [{0}]\n        batch: [{0}]\n", list))),
      ElementsAre("8:9 the sweep has more than 1000000 points"));
}

TEST_F(SweepTest, FilesThatAreTooLargeAreNotRead) {
  const auto file = write("large.yaml", "");
  std::filesystem::resize_file(file, std::uintmax_t{1} << 32);  // sparse
  try {
    load_sweep(file, test_schemas());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("large.yaml: the file has 4294967296 bytes"));
  }
}

TEST_F(SweepTest, OneNameForTwoStrategies) {
  EXPECT_THAT(
      errors(evaluate_with("      grid:\n"
                           "        strategy:\n"
                           "          - [7-8-4-4]\n"
                           "          - {name: 7-8-4-4, guess: zero}\n")),
      ElementsAre("10:13 this strategy is called `[7-8-4-4]`, as the different one on line 9"));
  EXPECT_THAT(errors(evaluate_with("      grid:\n"
                                   "        strategy:\n"
                                   "          - [7-8-4-4]\n"
                                   "          - {name: 7-8-4-4, guess: zero, label: other}\n")),
              IsEmpty());
}

TEST_F(SweepTest, MissingFilesNameThePublisherAndWhereTheyWereLookedFor) {
  write("some/images/a.png", "");  // a folder of a common name is no guess
  const std::string text =
      "models:\n"
      "  m: {checkpoint: gone_model_4_128_8_2_0.05.pth, published: someone on the web}\n"
      "  unused: {checkpoint: also_gone.pth}\n"
      "experiments:\n"
      "  - measure:\n"
      "      model: m\n"
      "      images: {path: no/images, published: a museum}\n";
  EXPECT_THAT(
      errors(text, /*allow_missing=*/false),
      ElementsAre("2:19 the checkpoint of model `m` is missing: gone_model_4_128_8_2_0.05.pth",
                  "7:22 `images` is missing: no/images"));
  EXPECT_THAT(repairs_[0], AllOf(StartsWith("published by someone on the web; put it into one of "),
                                 HasSubstr("models")));
  EXPECT_THAT(repairs_[1], StartsWith("published by a museum; "));
  // Of the FID's own files everybody knows it.
  const auto repair = [&](const std::string& file) {
    errors(
        "models:\n  m: {checkpoint: gone_model_4_128_8_2_0.05.pth}\nexperiments:\n"
        "  - measure: {model: m, images: " +
            file + "}\n",
        /*allow_missing=*/false);
    return repairs_.back();
  };
  EXPECT_THAT(repair("pt_inception-2015-12-05-6726825d.pth"),
              StartsWith("published by toshas/torch-fidelity"));
  EXPECT_THAT(repair("afhq_256_fid_stats.pth"), StartsWith("published by encoreus"));
}

TEST_F(SweepTest, AMissingCheckpointNeedsItsShapeStatedWhenItMayBeMissing) {
  const std::string text =
      "models:\n"
      "  m: {checkpoint: gone_model_4_128_8_2_0.05.pth}\n"
      "experiments:\n"
      "  - evaluate: {model: m, strategy: For}\n";
  // That the file is missing comes first, not what its name does not tell.
  EXPECT_THAT(
      errors(text),
      ElementsAre("2:19 the checkpoint of model `m` is missing: gone_model_4_128_8_2_0.05.pth"));
  EXPECT_THAT(repairs_.back(),
              AllOf(StartsWith("put it into one of "),
                    HasSubstr("to plan without the file, add `image_size: ...`, `classes: ...`")));
  EXPECT_THAT(errors(text, /*allow_missing=*/false), ElementsAre(HasSubstr("is missing")));
}

TEST_F(SweepTest, StatementsAgainstTheNameOfAMissingCheckpoint) {
  EXPECT_THAT(
      errors("models:\n"
             "  m: {checkpoint: x_model_4_128_8_2_0.05.pth, image_size: 32, classes: 0, "
             "channels: 256}\n"
             "  n: {checkpoint: x_model_4_128_8_2_0.05.pth, image_size: 30, classes: 0, "
             "noise_std: 0.07}\n"
             "  o: {checkpoint: x.pth, image_size: 32, patch_size: 4, channels: 100}\n"
             "  p: {}\n"
             "  q: {published: x}\n"
             "  r: {checkpoint: x_model_4_128_99999999_2_0.05.pth, image_size: 32, classes: 0}\n"
             "experiments: [measure]\n"),
      ElementsAre("2:85 `channels` is 256, but the file's name says 128",
                  "3:59 images of 30 pixels do not divide into patches of 4",
                  "3:86 `noise_std` is 0.07, but the file's name says 0.05",
                  "4:67 100 channels are not a multiple of 64", "5:6 `p` is an empty map",
                  "6:3 the model `q` has no `checkpoint`",
                  "7:19 `blocks` is 99999999, not within 1 to 1024",
                  "8:15 `measure` needs `images`", "8:15 `measure` needs `model`"));
}

}  // namespace
}  // namespace tarflow::sweep
