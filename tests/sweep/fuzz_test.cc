// Damaged sweep files end in an error or in a sweep, never in a crash.
#include <random>

#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

// A sweep that uses the whole language.
const char* const kWhole = R"(name: whole
models:
  m:
    checkpoint: x_model_4_128_8_2_0.05.pth
    image_size: 32
    classes: 10
    published: "someone, somewhere"
defaults: &d
  model: m
  num_images: 16
experiments:
  - measure:
      images: {path: pictures, published: a museum}
  - evaluate:
      note: 'one: two'
      classes_kept: [1, 2, 3]
      exact: true
      norm: fro
      grid:
        strategy:
          - For
          - [7-8-4-4]
          - {name: "[7-8-32-10]", guess_list: [0,0,0,0,0,1,1,0]}
          - {num_GS_list: [8,1,1,1,1,1,1,1], max_jacobi_list: [32,9,9,9,9,9,9,9], guess: zero, label: mine}
          - label: exact
            blocks:
              7: {segments: 8, max_iterations: 32, guess: z, clamp: 3, stop: {published: 1.0e-6}}
              0/6: {segments: 4, max_iterations: 8}
              else: sequential
        cfg: [0, 1.5, 2e0]
  - evaluate: {<<: *d, strategy: [0/7-64/8-1/13-6], scales: [1, .5]}
  - evaluate:
      use: "#defaults"
      strategy: For
      run: {time_limit: 10 min, retries: 2}
      zip: {seed: [1, 2], grid: {attn_temp: [1, 0.5]}}
      include:
        - {seed: 7, strategy: mine, note: "${env:TARFLOW_TEST_NOTE:-none}"}
        - {when: {seed: {above: 1}, any: [{cfg: 0}, {cfg: 7}]}, cfg: 3}
      exclude: [{cfg: 3, not: {seed: [1, 2]}}]
strategies: {mine: 7-8-5-5}
run: {workers: 2}
)";

// True when the text loads, false when it is refused with an Error; anything else ends the test.
bool loads(const std::filesystem::path& file) {
  try {
    load_sweep(file, test_schemas(), {.allow_missing = true});
    return true;
  } catch (const Error& error) {
    EXPECT_FALSE(error.problems().empty());
    for (const Problem& problem : error.problems()) EXPECT_FALSE(problem.what.empty());
    return false;
  }
}

TEST_F(SweepTest, TheWholeLanguageLoads) {
  const Sweep sweep = load(kWhole);
  EXPECT_EQ(sweep.points.size(), 1U + 15U + 1U + 2U);
  EXPECT_THAT(sweep.warnings, ::testing::IsEmpty());
}

TEST_F(SweepTest, FlippedBytesNeverCrash) {
  const std::string whole = kWhole;
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string text = whole;
    const int flips = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < flips; ++i) {
      char& byte = text[random() % text.size()];
      // Half of the time a character that means something in YAML: it gets further.
      byte = random() % 2 ? "{}[]:,-&*#?|>'\"%@!\n \t0"[random() % 23]
                          : static_cast<char>(random() % 256);
    }
    refused += !loads(write("flip.yaml", text));
  }
  EXPECT_GT(refused, 1000);  // the flips do reach the parser
}

TEST_F(SweepTest, LinesCutMovedAndRepeatedNeverCrash) {
  std::vector<std::string> lines;
  std::istringstream in(kWhole);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::mt19937 random(2);
  for (int round = 0; round < 1000; ++round) {
    std::vector<std::string> changed = lines;
    for (int i = 0; i < 3; ++i) {
      const size_t at = random() % changed.size();
      switch (random() % 4) {
        case 0:
          changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        case 1:
          changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(at),
                         lines[random() % lines.size()]);
          break;
        case 2:
          changed[at] = "  " + changed[at];
          break;
        default:
          changed[at].resize(random() % (changed[at].size() + 1));
      }
    }
    std::string text;
    for (const std::string& line : changed) text += line + "\n";
    loads(write("lines.yaml", text));
  }
}

TEST_F(SweepTest, EveryPrefixIsRefusedOrLoads) {
  const std::string whole = kWhole;
  for (size_t size = 0; size < whole.size(); ++size)
    loads(write("prefix.yaml", whole.substr(0, size)));
  EXPECT_TRUE(loads(write("prefix.yaml", whole)));
}

}  // namespace
}  // namespace tarflow::sweep
