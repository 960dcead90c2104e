// A good sweep with one mistake, as people make them: each is reported at its place.
#include <algorithm>
#include <cstdlib>

#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

const char* const kGood = R"(name: whole
use: common.yaml#sweep
models:
  m:
    checkpoint: x_model_4_128_8_2_0.05.pth
    image_size: 32
    classes: 10
    published: "someone, somewhere"
strategies:
  fast: "[7-8-4-4]"
  exact:
    label: all steps
    blocks:
      7: {segments: 8, max_iterations: 32, guess: z, clamp: 3, stop: {published: 1.0e-6}}
      else: sequential
defaults:
  model: m
  num_images: 16
run:
  retries: 2
  time_limit: 10 min
  workers: 2
experiments:
  - measure:
      images: {path: pictures, published: a museum}
  - evaluate:
      use: common.yaml#settings
      note: ${env:TARFLOW_TEST_NOTE:-none}
      classes_kept: [1, 2, 3]
      exact: true
      norm: fro
      batch: 8
      grid:
        strategy:
          - For
          - fast
          - {name: "[7-8-32-10]", guess_list: [0, 0, 0, 0, 0, 1, 1, 0]}
          - {num_GS_list: [8, 1, 1, 1, 1, 1, 1, 1], max_jacobi_list: [32, 9, 9, 9, 9, 9, 9, 9], guess: auto, label: mine}
        cfg: [0, 1.5, 2]
      zip:
        seed: [1, 2]
        attn_temp: [0.5, 1]
      include:
        - {cfg: 5, seed: 9, strategy: exact}
        - when: {cfg: {above: 1}}
          self_denoising_lr: 1
      exclude:
        - {seed: 2, strategy: For}
        - any: [{cfg: {min: 4}, seed: 8}, {attn_temp: 0.5, cfg: 2}]
      guess_images: pictures
)";
const char* const kCommon =
    "sweep: {defaults: {keep_images: 3}}\nsettings: {scales: [1, 2]}\nlist: [1, 2]\n";

struct Mistake {
  std::string find;   // stands in kGood once or first
  std::string with;   // what is written in its place
  std::string place;  // "+n": n characters after the beginning of `find`; else "line:column"
  std::string part;   // of what is said, repair included
};

// "line:column" of an offset.
std::string place_of(const std::string& text, size_t offset) {
  const auto begin = text.begin();
  const auto at = begin + static_cast<std::ptrdiff_t>(offset);
  const size_t line = static_cast<size_t>(std::count(begin, at, '\n')) + 1;
  const size_t start = offset == 0 ? 0 : text.rfind('\n', offset - 1) + 1;
  return fmt::format("{}:{}", line, offset - start + 1);
}

class MutationTest : public SweepTest {
 protected:
  MutationTest() { write("common.yaml", kCommon); }

  // "line:column what | repair" of all that is wrong with the mutated sweep.
  std::vector<std::string> found(const Mistake& mistake) {
    std::string text = kGood;
    const size_t at = text.find(mistake.find);
    EXPECT_NE(at, std::string::npos) << mistake.find;
    text.replace(at, mistake.find.size(), mistake.with);
    std::vector<std::string> lines = errors(text);
    const size_t count = lines.size();
    for (size_t i = 0; i < count; ++i) {
      lines[i] += " | " + repairs_[repairs_.size() - count + i];
    }
    return lines;
  }

  std::string expected_place(const Mistake& mistake) const {
    if (mistake.place[0] != '+') return mistake.place;
    return place_of(kGood, std::string(kGood).find(mistake.find) +
                               static_cast<size_t>(std::stoi(mistake.place.substr(1))));
  }

  // Exactly one problem, at its place; or, of `alone` false, that one among its consequences.
  void expect(const Mistake& mistake, bool alone) {
    const std::vector<std::string> lines = found(mistake);
    const std::string place = expected_place(mistake) + " ";
    const bool told = std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.starts_with(place) && line.find(mistake.part) != std::string::npos;
    });
    EXPECT_TRUE(told && (!alone || lines.size() == 1))
        << mistake.find << "\n  -> " << mistake.with << "\n  expected " << place << mistake.part
        << "\n  found " << fmt::format("{}", fmt::join(lines, "\n        "));
    ++checked_;
  }

  int checked_ = 0;
};

// A letter lost, doubled, or two swapped; the first letter is seldom wrong.
std::vector<std::string> slips(const std::string& word) {
  std::string lost = word, doubled = word, swapped = word;
  lost.erase(1, 1);
  doubled.insert(word.size() - 1, 1, word[word.size() - 1]);
  std::swap(swapped[word.size() - 2], swapped[word.size() - 1]);
  std::vector<std::string> result = {lost, doubled};
  if (swapped != word) result.push_back(swapped);
  return result;
}

TEST_F(MutationTest, TheGoodSweepIsGood) {
  const Sweep sweep = load(kGood);
  EXPECT_EQ(sweep.points.size(), 1U + 4 * 3 * 2 + 1 - 3 - 4);
  EXPECT_TRUE(sweep.warnings.empty()) << sweep.warnings[0].str();
}

TEST_F(MutationTest, MistypedKeysAreNamedWithTheRightOne) {
  for (const std::string line : {"name: whole",
                                 "models:",
                                 "strategies:",
                                 "defaults:",
                                 "run:",
                                 "experiments:",
                                 "checkpoint: x",
                                 "image_size: 32",
                                 "classes: 10",
                                 "published: \"s",
                                 "segments: 8",
                                 "max_iterations: 32",
                                 "clamp: 3",
                                 "stop: {",
                                 "published: 1.0",
                                 "num_images: 16",
                                 "retries: 2",
                                 "time_limit: 10",
                                 "workers: 2",
                                 "images: {",
                                 "path: p",
                                 "classes_kept: [",
                                 "exact: true",
                                 "norm: fro",
                                 "batch: 8",
                                 "grid:",
                                 "guess_list: [",
                                 "max_jacobi_list: [",
                                 "label: mine",
                                 "zip:",
                                 "seed: [1",
                                 "attn_temp: [",
                                 "include:",
                                 "above: 1",
                                 "self_denoising_lr",
                                 "exclude:",
                                 "min: 4"}) {
    const std::string key = line.substr(0, line.find(':'));
    for (const std::string& slip : slips(key)) {
      expect({line, slip + line.substr(key.size()), "+0",
              fmt::format("has no key `{}` | did you mean `{}`?", slip, key)},
             false);
    }
  }
  EXPECT_GE(checked_, 100);
}

TEST_F(MutationTest, AGuessThatIsToBeChosenNeedsItsWordAndItsImages) {
  for (const char* word : {"Auto", "automatic", "2", "[auto]", "none"}) {
    expect({"guess: auto", fmt::format("guess: {}", word), "+7", "auto: the better of the two"},
           true);
  }
  expect({"      guess_images: pictures\n", "", "38:13", "needs real images"}, true);
  expect({"guess_images: pictures", "guess_image: pictures", "+0", "did you mean `guess_images`?"},
         false);
  expect({"guess_images: pictures", "guess_images: [pictures]", "+14", "guess_images"}, false);
  expect({"guess_images: pictures", "guess_num_images: -1", "+18", "guess_num_images"}, false);
  expect({"  - measure:\n", "  - measure:\n      strategy: {name: 7-8-4-4, guess: auto}\n", "25:17",
          "`measure` cannot choose initial guesses"},
         true);
}

TEST_F(MutationTest, KeysStatedTwiceAreFound) {
  for (const std::string line :
       {"name: whole\n", "    image_size: 32\n", "    classes: 10\n", "  model: m\n",
        "  retries: 2\n", "  workers: 2\n", "      exact: true\n", "      norm: fro\n",
        "      batch: 8\n", "        cfg: [0, 1.5, 2]\n", "        seed: [1, 2]\n",
        "      else: sequential\n"}) {
    const size_t indent = line.find_first_not_of(' ');
    const size_t at = std::string(kGood).find(line);
    const std::string first = place_of(kGood, at);
    const int number = std::stoi(first.substr(0, first.find(':')));
    expect({line, line + line, fmt::format("{}:{}", number + 1, indent + 1),
            fmt::format("is stated twice, first on line {} | keep one of them", number)},
           true);
  }
}

TEST_F(MutationTest, ValuesOfTheWrongKindSayWhatTheyMustBe) {
  struct Valued {
    std::string line, key, kind;
  };
  const std::vector<Valued> numbers = {{"image_size: 32", "image_size", "an integer"},
                                       {"classes: 10", "classes", "an integer"},
                                       {"num_images: 16", "num_images", "an integer"},
                                       {"retries: 2", "retries", "an integer"},
                                       {"workers: 2", "workers", "an integer"},
                                       {"batch: 8", "batch", "an integer"},
                                       {"exact: true", "exact", "true or false"},
                                       {"self_denoising_lr: 1", "self_denoising_lr", "a number"}};
  for (const auto& [line, key, kind] : numbers) {
    const std::string shift = fmt::format("+{}", key.size() + 2);
    for (const auto& [value, said] :
         std::vector<std::pair<std::string, std::string>>{{"many", "the text `many`"},
                                                          {"[1]", "a list"},
                                                          {"{a: 1}", "a map"},
                                                          {"null", "nothing"}}) {
      const bool word = kind == "true or false" && value == "many";
      expect({line, key + ": " + value, shift,
              fmt::format("`{}`: expected {}, found {}", key, kind, word ? "" : said)},
             true);
    }
  }
}

const std::vector<Mistake> kMistakes = {
    // Values out of range or impossible.
    {"image_size: 32", "image_size: 30", "+12",
     "images of 30 pixels do not divide into patches of 4"},
    {"image_size: 32", "image_size: 0", "+12", "below its minimum of 1"},
    {"classes: 10", "classes: -1", "+9", "below its minimum of 0"},
    {"num_images: 16", "num_images: 0", "+12", "below its minimum of 1"},
    {"num_images: 16", "num_images: 2.5", "+12", "expected an integer, found the number `2.5`"},
    {"num_images: 16", "num_images: 1e7", "+12", "above its maximum of 1000000"},
    {"retries: 2", "retries: 200", "+9", "above its maximum of 100"},
    {"workers: 2", "workers: 0", "+9", "below its minimum of 1"},
    {"time_limit: 10 min", "time_limit: 10 m", "+12", "expected a duration, found the text `10 m`"},
    {"time_limit: 10 min", "time_limit: -5", "+12", "not within 0 and"},
    {"time_limit: 10 min", "time_limit: 9999 d", "+12", "not within 0 and"},
    {"time_limit: 10 min", "time_limit: 10min30s", "+12", "write a number and a unit"},
    {"time_limit: 10 min", "time_limit: 10", "+12",
     "`time_limit` is 10, without a unit | write 10 s"},
    {"time_limit: 10 min", "time_limit: '90'", "+12", "without a unit"},
    {"retries: 2", "retries: −2", "+9", "it holds U+2212 (minus sign): write `-`"},
    {"batch: 8", "batch: “8”", "+7", "it holds U+201C (left double quotation mark)"},
    {"exact: true", "exact: truе", "+7", "it holds U+0435"},
    {"batch: 8", "batch: 0", "+7", "below its minimum of 1"},
    {"batch: 8", "batch: 99999999999999999999", "+7", "too large for an integer"},
    {"batch: 8", "batch: '8'", "+7", "remove the quotes"},
    {"exact: true", "exact: yes", "+7", "expected true or false, found `yes` | write `true`"},
    {"exact: true", "exact: Off", "+7", "write `false`"},
    {"norm: fro", "norm: frob", "+6", "`norm` cannot be `frob` | did you mean `fro`?"},
    {"norm: fro", "norm: [fro]", "+6", "expected text, found a list"},
    {"[1, 2, 3]", "[1, 2, 12]", "+7", "`classes_kept` is 12, above its maximum of 9"},
    {"[1, 2, 3]", "[]", "+0", "`classes_kept` is an empty list"},
    {"[1, 2, 3]", "3", "+0", "expected a list, found the number `3`"},
    {"[0, 1.5, 2]", "[0, 1.5, -2]", "+9", "`cfg` is -2, below its minimum of 0"},
    {"[0, 1.5, 2]", "[0, 1.5, .nan]", "+9", "not a finite number"},
    {"[0, 1.5, 2]", "1.5", "+0", "`cfg`: expected a list, found the number `1.5`"},
    {"[0, 1.5, 2]", "[0; 1.5, 2]", "+1", "found the text `0; 1.5`"},
    {"[0.5, 1]", "[0.5, 11]", "+6", "`attn_temp` is 11, above its maximum of 10"},
    {"{path: pictures, published: a museum}", "{published: a museum}", "+0",
     "`images` has no `path`"},
    {"{path: pictures, published: a museum}", "[pictures]", "+0",
     "`images`: expected text, found a list"},
    {"checkpoint: x_model_4_128_8_2_0.05.pth", "checkpoint: ''", "+12", "`checkpoint` is empty"},
    {"classes: 10", "channels: 256", "+10", "`channels` is 256, but the file's name says 128"},
    {"classes: 10", "blocks: 7\n    classes: 10", "+8",
     "`blocks` is 7, but the file's name says 8"},
    {"classes: 10", "noise_std: 0.07\n    classes: 10", "+11",
     "`noise_std` is 0.07, but the file's name says 0.05"},
    {"name: whole", "name: a/b", "+6", "cannot be the name of a sweep"},
    {"name: whole", "name: .hidden", "+6", "cannot be the name of a sweep"},
    {"  model: m\n", "  model: n\n", "+9", "there is no model `n` | did you mean `m`?"},
    // Strategies.
    {"- fast\n", "- fats\n", "+2", "there is no strategy `fats` | did you mean `fast`?"},
    {"- For\n", "- Fro\n", "+2", "there is no strategy `Fro` | did you mean `For`?"},
    {"\"[7-8-4-4]\"", "\"[7-8-4]\"", "+0", "it has 3 parts instead of 4"},
    {"\"[7-8-4-4]\"", "\"[7-8-x-4]\"", "+0", "J `x` is not a number"},
    {"\"[7-8-4-4]\"", "\"[8-8-4-4]\"", "+0", "names block 8, but the model has 8 blocks"},
    {"\"[7-8-4-4]\"", "\"[7-65-4-4]\"", "+0", "65 segments for the 64 tokens of the model"},
    {"\"[7-8-4-4]\"", "\"[7-8-0-4]\"", "+0", "J is at least 1"},
    {"\"[7-8-4-4]\"", "\"[7/7-8-4-4]\"", "+0", "block 7 occurs twice in Stack"},
    {"\"[7-8-4-4]\"", "\"[6/7-8/8/8-4-4]\"", "+0", "GS has 3 values for 2 blocks"},
    {"\"[7-8-4-4]\"", "[For, exact]", "+0", "expected one strategy, found a list of 2"},
    {"\"[7-8-4-4]\"", "{}", "+0", "this map states no strategy"},
    {"  exact:\n", "  for: 7-8-4-4\n  exact:\n", "+2", "`for` is the name of a published strategy"},
    {"7: {segments", "8: {segments", "+0", "block 8 of a model with 8 blocks"},
    {"7: {segments", "x: {segments", "+0", "`x` is not a block"},
    {"segments: 8", "segments: 65", "+10", "65 segments for the 64 tokens of the model"},
    {"segments: 8", "segments: -1", "+10", "below its minimum of 0"},
    {"max_iterations: 32", "max_iterations: 0", "+16", "below its minimum of 1"},
    {"guess: z", "guess: maybe", "+7", "expected an initial guess, found the text `maybe`"},
    {"clamp: 3", "clamp: -3", "+7", "below its minimum of 0"},
    {"stop: {published: 1.0e-6}", "stop: 3", "+6", "`stop`: expected a map"},
    {"      else: sequential\n", "", "14:7", "no method is stated for block 0, 1, 2, 3, 4, 5, 6"},
    {"else: sequential", "else: sequentiel", "+6", "a block"},
    {"guess_list: [0, 0, 0, 0, 0, 1, 1, 0]", "guess_list: [0, 0, 0]", "+12",
     "`guess_list` has 3 entries, but the model has 8 blocks"},
    {"guess_list: [0, 0, 0, 0, 0, 1, 1, 0]", "guess_list: [0, 0, 2, 0, 0, 1, 1, 0]", "+19",
     "expected an initial guess, found the number `2`"},
    {"guess_list: [0, 0, 0, 0, 0, 1, 1, 0]", "guess: z, guess_list: [0, 0, 0, 0, 0, 1, 1, 0]",
     "+10", "`guess_list` beside `guess`"},
    {"num_GS_list: [8, 1,", "num_GS_list: [8,", "+13",
     "`num_GS_list` has 7 entries, but the model has 8 blocks"},
    {"num_GS_list: [8, 1,", "num_GS_list: [99, 1,", "+14",
     "99 segments for the 64 tokens of the model"},
    {"max_jacobi_list: [32, 9,", "max_jacobi_list: [32, 0,", "+22",
     "block 6 is not sequential and needs at least 1 Jacobi iteration"},
    {"label: mine", "label: 6-8-4-4", "+7", "the label `6-8-4-4` is the name of another strategy"},
    {"label: mine", "label: ''", "+7", "`label` is empty"},
    {", guess_list: [0, 0, 0, 0, 0, 1, 1, 0]", ", label: fast", "37:13",
     "this strategy is called `fast`, as the different one on line 36"},
    // Spaces and conditions.
    {"seed: [1, 2]", "seed: [1, 2, 3]", "42:9",
     "`attn_temp` has 2 values in this zip, but `seed` on line 41 has 3"},
    {"batch: 8", "cfg: 8", "39:9", "`cfg` is in the grid and also set on line 32"},
    {"batch: 8", "seed: 8", "41:9", "`seed` is in the zip and also set on line 32"},
    {"attn_temp: [0.5, 1]", "cfg: [0.5, 1]", "+0", "`cfg` is varied twice, first on line 39"},
    {"zip:\n        seed: [1, 2]\n        attn_temp: [0.5, 1]\n", "zip: 3\n", "40:12",
     "`zip`: expected a map (`key: value` lines), found the number `3`"},
    {"{cfg: 5, seed: 9, strategy: exact}", "{cgf: 5, seed: 9, strategy: exact}", "+1",
     "an entry of `include` has no key `cgf`"},
    {"{cfg: 5, seed: 9, strategy: exact}", "7", "+0",
     "an entry of `include`: expected a map (`key: value` lines), found the number `7`"},
    {"{cfg: 5, seed: 9, strategy: exact}", "{cfg: 5, seed: 9, strategy: exat}", "+28",
     "there is no strategy `exat` | did you mean `exact`?"},
    {"when: {cfg", "when: {cgf", "+7",
     "a condition on `evaluate` has no key `cgf` | did you mean `cfg`?"},
    {"when: {cfg: {above: 1}}", "when: {cfg: {abov: 1}}", "+13",
     "a test of `cfg` has no key `abov` | did you mean `above`?"},
    {"when: {cfg: {above: 1}}", "when: {cfg: {above: x}}", "+20",
     "`above`: expected a number, found the text `x`"},
    {"when: {cfg: {above: 1}}", "when: {cfg: x}", "+12",
     "`cfg`: expected a number, found the text `x`"},
    {"when: {cfg: {above: 1}}", "when: 3", "+6", "a condition: expected a map"},
    {"when: {cfg: {above: 1}}", "when: {norm: {above: 1}}", "+14",
     "`norm` is a choice, of which there is no `above`"},
    {"when: {cfg: {above: 1}}", "when: {model: n}", "+14", "there is no model `n`"},
    {"batch: 8", "when: {cfg: 1}", "+0", "`when` belongs to an entry of `include`"},
    {"{seed: 2, strategy: For}", "{seed: two, strategy: For}", "+7",
     "`seed`: expected an integer, found the text `two`"},
    {"{seed: 2, strategy: For}", "{seed: 2, strategy: [9-8-4-4]}", "+21",
     "names block 9, but the model has 8 blocks"},
    {"{seed: 2, strategy: For}", "{sed: 2, strategy: For}", "+1", "did you mean `seed`?"},
    {"any: [{cfg", "ayn: [{cfg", "+0", "did you mean `any`?"},
    {"{attn_temp: 0.5, cfg: 2}]", "{attn_temp: 0, cfg: 2}]", "+12", "below its minimum of 0.001"},
    // use and ${...}.
    {"common.yaml#settings", "comon.yaml#settings", "+0",
     "there is no file comon.yaml | looked for in "},
    {"common.yaml#settings", "common.yaml#seting", "+0",
     "has no `seting` | did you mean `settings`?"},
    {"common.yaml#settings", "common.yaml#settings.x", "+0", "has no `settings.x`"},
    {"common.yaml#settings", "[{a: 1}]", "+1", "`use`: expected FILE or FILE#key, found a map"},
    {"use: common.yaml#settings", "use: common.yaml#list", "+0",
     "`use` beside other keys takes a map, found a list"},
    {"${env:TARFLOW_TEST_NOTE:-none}", "${env:TARFLOW_TEST_NOTE}", "+0",
     "the environment variable `TARFLOW_TEST_NOTE` is not set"},
    {"${env:TARFLOW_TEST_NOTE:-none}", "${TARFLOW_TEST_NOTE}", "+0",
     "is not evaluated: only `${env:NAME}` is"},
    {"${env:TARFLOW_TEST_NOTE:-none}", "a ${env:TARFLOW", "+2", "`${` is not closed"},
    {"${env:TARFLOW_TEST_NOTE:-none}", "${env:A-B}", "+0",
     "`A-B` cannot be the name of an environment variable"},
    // Shape of the file.
    {"  - measure:", "  - mesure:", "+4",
     "there is no experiment `mesure` | did you mean `measure`?"},
    {"  - measure:\n      images", "  - measure:\n    images", "25:5",
     "`images` stands beside `measure`, not below it"},
    {"  - measure:\n      images", "    measure:\n      images", "26:3", "check the indentation"},
    {"      exact: true", "     exact: true", "30:6", "not valid YAML"},
    {"      exact: true", "\texact: true", "30:2", "indent with spaces, not with tabs"},
    {"      exact: true", "      exact true", "31:11", "not valid YAML"},
    {"[1, 2, 3]", "[1, 2, 3", "30:12", "a `[` or `{` is not closed, or a comma is missing"},
    {"\"someone, somewhere\"", "\"someone, somewhere", "10:10",
     "check the indentation of this line and of those above"},
    {"\"someone, somewhere\"", "someone: somewhere", "+7", "quote a value that holds `: `"},
    {"norm: fro", "norm: !!python fro", "+6", "unknown tag"},
    {"norm: fro", "norm: *fro", "+6", "not valid YAML"},
    {"run:\n  retries: 2\n  time_limit: 10 min\n  workers: 2\n", "run: 3\n", "19:6",
     "`run`: expected a map (`key: value` lines), found the number `3`"},
};

TEST_F(MutationTest, OneMistakeIsOneProblemAtItsPlace) {
  ::unsetenv("TARFLOW_TEST_NOTE");
  for (const Mistake& mistake : kMistakes) expect(mistake, true);
  EXPECT_GE(checked_, 100);
}

}  // namespace
}  // namespace tarflow::sweep
