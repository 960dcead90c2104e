// Adaptive windows in a sweep file: by name, for all blocks, in a block, as axes, and what is
// wrong.
#include <fmt/format.h>

#include "framework/sweep/window_name.h"
#include "tests/sweep/strategies.h"

namespace tarflow::sweep {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

Window window_of(int width, double tolerance) {
  return {width, tolerance, WindowGuess::kLinear, 3, "HF"};
}

Strategy all_of(const Window& window) { return {"", std::vector<BlockPlan>(8, {window})}; }

TEST(Windows, HaveNames) {
  for (const char* text :
       {"Window-64", "window-64", "[Window-64]", "'WINDOW - 64'", "Window–64", "{name: Window-64}",
        "Window-64-0.03", "Window-64-3e-2", "{window: 64, tolerance: 0.03}",
        "{window: 64, tolerance: 3.0e-2}", "{blocks: {else: {window: 64, tolerance: 0.03}}}",
        "{window: 64, tolerance: 0.03, guess: linear, sweeps: 3, pattern: HF}"}) {
    EXPECT_EQ(read(text), all_of(window_of(64, 0.03))) << text;
    EXPECT_EQ(read(text).name, "Window-64") << text;
  }
  for (const char* text : {"Window-64-0.05", "window-64-.05", "{window: 64, tolerance: 0.05}"}) {
    EXPECT_EQ(read(text), all_of(window_of(64, 0.05))) << text;
    EXPECT_EQ(read(text).name, "Window-64-0.05") << text;
  }
  for (const double tolerance : {0.0, 1e-7, 2.5e-5, 0.1, 12.0}) {
    const std::string name = window_name(window_of(7, tolerance));
    EXPECT_EQ(read(name), all_of(window_of(7, tolerance))) << name;
    EXPECT_EQ(read(name).name, name);
  }
  EXPECT_EQ(read("Window-64--0"), all_of(window_of(64, 0)));
}

TEST(Windows, WiderThanTheInputsAreAsWide) {
  EXPECT_EQ(read("Window-1000"), all_of(window_of(255, 0.03)));
  for (const char* text : {"Window-1000", "Window-255", "{window: 256, tolerance: 0.03}"})
    EXPECT_EQ(read(text).name, "Window-255") << "one name for one strategy: " << text;
  EXPECT_EQ(read("{window: 256, tolerance: 0.03}"), read("{window: 255, tolerance: 0.03}"));
  EXPECT_EQ(read("{blocks: {else: {window: 999, tolerance: 0.03}}}"), read("Window-255"));
  EXPECT_EQ(read("Window-64", {2, 1}).blocks.at(0), (BlockPlan{window_of(1, 0.03)}));
}

TEST(Windows, HaveOneValueForAllBlocksOrOneABlock) {
  const Strategy strategy = read(
      "{window: [8, 16, 64, 64, 64, 64, 64, 1], tolerance: [0, .1, .1, .1, .1, .1, .1, .2], guess: "
      "up, pattern: HHF}");
  EXPECT_EQ(strategy.blocks[0], (BlockPlan{Window{8, 0, WindowGuess::kUp, 3, "HHF"}}));
  EXPECT_EQ(strategy.blocks[1], (BlockPlan{Window{16, 0.1, WindowGuess::kUp, 3, "HHF"}}));
  EXPECT_EQ(strategy.block(0), (BlockPlan{Window{1, 0.2, WindowGuess::kUp, 3, "HHF"}}));
  EXPECT_EQ(strategy.name, describe(strategy));
  EXPECT_THAT(strategy.name, HasSubstr("block 7: window 8 tolerance 0 guess up pattern HHF"));
  EXPECT_FALSE(strategy.needs_calibration());
  EXPECT_EQ(read("{window: 9, tolerance: 0.1, guess: z, pattern: F, label: mine}").name, "mine");
}

TEST(Windows, AreMixedWithOtherMethods) {
  const Strategy strategy = read(
      "{blocks: {7: {window: 64, tolerance: 0.02, sweeps: 5}, 0/6: sequential, else: "
      "{segments: 8, max_iterations: 4}}}");
  EXPECT_EQ(strategy.block(7), (BlockPlan{Window{64, 0.02, WindowGuess::kLinear, 5, "HF"}}));
  EXPECT_TRUE(strategy.block(6).sequential());
  EXPECT_TRUE(strategy.needs_calibration());
  EXPECT_EQ(strategy_from_json(to_json(strategy)), strategy);
}

TEST(Windows, LabelsMeanWhatTheySay) {
  EXPECT_EQ(read("{name: Window-64, label: Window-64 by name}").name, "Window-64 by name");
  EXPECT_EQ(read("{window: 64, tolerance: 0.03, label: window-64}").name, "window-64");
  EXPECT_EQ(read("{blocks: {else: sequential}, label: Window of mine}").name, "Window of mine");
  for (const char* yaml :
       {"{window: 64, tolerance: 0.05, label: Window-64}",
        "{window: 64, tolerance: 0.03, guess: up, label: Window-64}",
        "{window: 64, tolerance: 0.03, pattern: F, label: Window-64-0.03}",
        "{name: For, label: window-16}", "{blocks: {else: sequential}, label: Window-0}"}) {
    EXPECT_THAT(problem_of(yaml), HasSubstr("is the name of another strategy")) << yaml;
  }
}

class WindowErrors : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(WindowErrors, AreLocated) {
  const auto& [yaml, expected] = GetParam();
  EXPECT_THAT(problem_of(yaml), HasSubstr(expected)) << yaml;
}

using Wrong = std::pair<const char*, const char*>;
INSTANTIATE_TEST_SUITE_P(
    Names, WindowErrors,
    ::testing::Values(
        Wrong{"Window", "1:1: `Window` is not a strategy: it has no width"},
        Wrong{"Window-", "it has no width"}, Wrong{"Window-0", "`0` is not a number of tokens"},
        Wrong{"Window--4", "`-4` is not a number of tokens"},
        Wrong{"Window-4.5", "`4.5` is not a number of tokens"},
        Wrong{"Window-64x", "`64x` is not a number of tokens"},
        Wrong{"Window-99999999999", "`99999999999` is not a number of tokens"},
        Wrong{"Window-64-", "`` is not a tolerance"},
        Wrong{"Window-64--0.1", "`-0.1` is not a tolerance"},
        Wrong{"Window-64-nan", "`nan` is not a tolerance"},
        Wrong{"Window-64-inf", "`inf` is not a tolerance"},
        Wrong{"Window-64-1e999", "`1e999` is not a tolerance"},
        Wrong{"Window-64-0.1-0.2", "`0.1-0.2` is not a tolerance"},
        Wrong{"{name: Window-64, guess: up}",
              "1:19: the name Window-64 says what its windows guess, so `guess` does nothing"},
        Wrong{"{name: Window-64, guess_list: [0,0,0,0,0,0,0,0]}", "`guess_list` does nothing"}));

INSTANTIATE_TEST_SUITE_P(
    Maps, WindowErrors,
    ::testing::Values(
        Wrong{"{window: 64}", "1:1: a `window` needs `tolerance`"},
        Wrong{"{window: 0, tolerance: 0.1}", "1:10: `window` is 0, below its minimum of 1"},
        Wrong{"{window: -2, tolerance: 0.1}", "1:10: `window` is -2"},
        Wrong{"{window: 1.5, tolerance: 0.1}", "1:10: `window`: expected an integer"},
        Wrong{"{window: sequential, tolerance: 0.1}", "1:10: `window`: expected an integer"},
        Wrong{"{window: [1, 2], tolerance: 0.1}",
              "1:10: `window` has 2 entries, but the model has 8 blocks"},
        Wrong{"{window: [4, 4, 4, 4, 4, 4, 4, 0], tolerance: 0.1}", "1:32: `window` is 0"},
        Wrong{"{window: 8, tolerance: -0.1}", "1:24: `tolerance` is -0.1, below its minimum of 0"},
        Wrong{"{window: 8, tolerance: .nan}", "1:24: `tolerance` is .nan"},
        Wrong{"{window: 8, tolerance: [0.1, 0.1]}",
              "1:24: `tolerance` has 2 entries, but the model has 8 blocks"},
        Wrong{"{window: 8, tolerance: 0.1, pattern: HH}",
              "1:38: `pattern: HH` has no F, so no token would ever be final"},
        Wrong{"{window: 8, tolerance: 0.1, pattern: FX}", "1:38: `pattern: FX` has other letters"},
        Wrong{"{window: 8, tolerance: 0.1, pattern: hf}", "has other letters"},
        Wrong{"{window: 8, tolerance: 0.1, pattern: ''}", "`pattern` is empty"},
        Wrong{"{window: 8, tolerance: 0.1, guess: zero}",
              "1:36: `guess`: expected the guess of a window, found the text `zero`"},
        Wrong{"{window: 8, tolerance: 0.1, guess: auto}", "zero and auto are for Jacobi"},
        Wrong{"{window: 8, tolerance: 0.1, guess: 0}", "found the number `0`"},
        Wrong{"{window: 8, tolerance: 0.1, guess: [up, up]}", "found a list"},
        Wrong{"{window: 8, tolerance: 0.1, sweeps: 0}", "1:37: `sweeps` is 0"},
        Wrong{"{window: 8, tolerance: 0.1, guess: up, sweeps: 2}",
              "1:40: `sweeps` beside `guess: up`"},
        Wrong{"{window: 8, tolerance: 0.1, guess: z, sweeps: 3}", "`sweeps` beside `guess: z`"},
        Wrong{"{window: 8, tolerance: 0.1, max_iterations: 3}", "has no key `max_iterations`"},
        Wrong{"{window: 8, tolerance: 0.1, name: For}", "has no key `name`"},
        Wrong{"{tolerance: 0.1}", "this map states no strategy"}));

INSTANTIATE_TEST_SUITE_P(
    Blocks, WindowErrors,
    ::testing::Values(
        Wrong{"{blocks: {else: {window: 8}}}", "1:17: a `window` needs `tolerance`"},
        Wrong{"{blocks: {else: {segments: 8, window: 8, tolerance: 1}}}",
              "1:31: `window` beside `segments`"},
        Wrong{"{blocks: {else: {window: 8, tolerance: 1, segment_length: 8}}}",
              "1:43: `segment_length` beside `window`"},
        Wrong{"{blocks: {else: {segment_length: 8, segments: 8}}}",
              "1:37: `segments` beside `segment_length`"},
        Wrong{"{blocks: {else: {window: 8, tolerance: 1, max_iterations: 3}}}",
              "1:43: a window has no use for `max_iterations`"},
        Wrong{"{blocks: {else: {window: 8, tolerance: 1, stop: none}}}", "no use for `stop`"},
        Wrong{"{blocks: {else: {window: 8, tolerance: 1, clamp: 3}}}", "no use for `clamp`"},
        Wrong{"{blocks: {else: {segments: 8, max_iterations: 2, tolerance: 1}}}",
              "1:50: `tolerance` belongs to a `window`"},
        Wrong{"{blocks: {else: {segments: 8, max_iterations: 2, pattern: F}}}",
              "`pattern` belongs to a `window`"},
        Wrong{"{blocks: {else: {segments: 8, max_iterations: 2, guess: up}}}",
              "expected an initial guess"},
        Wrong{"{blocks: {else: {window: [8], tolerance: 1}}}", "expected an integer, found a list"},
        Wrong{"{blocks: {else: {window: 8, tolerance: 1, pattern: H}}}", "has no F"},
        Wrong{"{blocks: {else: {tolerance: 1}}}", "1:17: a block needs `segments`"}));

class WindowSweep : public SweepTest {};

TEST_F(WindowSweep, AreAxesOfAGrid) {
  const Sweep sweep = load(
      "name: s\nmodels:\n  m: {checkpoint: cifar10_model_4_128_8_2_0.05.pth, image_size: 32, "
      "classes: 10}\nstrategies:\n  narrow: Window-4\nexperiments:\n  - evaluate:\n      model: m\n"
      "      grid:\n        cfg: [0, 1]\n        strategy: [For, Window-16, narrow, {window: 16, "
      "tolerance: 0.03, guess: up}, Window-16-0.03]\n");
  std::vector<std::string> names;
  for (const Point& point : sweep.points)
    names.push_back(point.settings.at("strategy").at("name").get<std::string>());
  EXPECT_EQ(sweep.points.size(), 8u) << "Window-16-0.03 is Window-16";
  EXPECT_THAT(names, AllOf(Contains("Window-16"), Contains("narrow"), Contains(HasSubstr("up"))));
}

}  // namespace
}  // namespace tarflow::sweep
