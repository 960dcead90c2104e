#include "framework/core/strategy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "framework/core/error.h"
#include "tests/support/plans.h"

namespace tarflow {
namespace {

const BlockPlan kJacobi = plan_of(1, 10, Guess::kZ, 3.0, published_stop());
const BlockPlan kSegments = plan_of(8, 32, Guess::kZero);

// Sampling order: block 3 first.
Strategy example() { return {"x", {kSegments, {}, kJacobi, kJacobi}}; }

TEST(Strategy, BlocksByCheckpointIndex) {
  const Strategy strategy = example();
  EXPECT_EQ(strategy.block(3), kSegments);
  EXPECT_EQ(strategy.block(2), BlockPlan{});
  EXPECT_EQ(strategy.block(0), kJacobi);
  EXPECT_THROW(strategy.block(4), std::out_of_range);
}

TEST(Strategy, SequentialMeansEveryBlock) {
  EXPECT_FALSE(example().sequential());
  EXPECT_TRUE((Strategy{"For", {{}, {}}}).sequential());
}

// Then a time that was measured on images that are not finite is another one.
TEST(Strategy, WorkDependsOnValuesWithAStopOrAFrontAlone) {
  const auto depends = [](const BlockPlan& plan) {
    return Strategy{"x", {{}, plan}}.work_depends_on_values();
  };
  EXPECT_FALSE(depends({}));
  EXPECT_FALSE(depends(plan_of(1, 10)));
  EXPECT_FALSE(depends(kSegments));
  EXPECT_TRUE(depends(kJacobi));
  EXPECT_TRUE(depends(published_plan(8, 32)));
  EXPECT_FALSE(depends(published_plan(0, 32))) << "sequential";
  EXPECT_TRUE(depends({Window{}}));
  Window forced;
  forced.advance = 4;
  EXPECT_FALSE(depends({forced}));
  EXPECT_TRUE(depends({Tuned{}}));
}

TEST(Strategy, TheNameIsNoPartOfIt) {
  Strategy other = example();
  other.name = "y";
  EXPECT_EQ(other, example());
  *guess_of(other.blocks[0]) = Guess::kZ;
  EXPECT_FALSE(other == example());
}

TEST(Strategy, JsonStatesWhatMattersAndRoundTrips) {
  EXPECT_EQ(
      canonical(to_json(example())),
      R"({"blocks":[{"guess":"zero","max_iterations":32,"segments":8},{"segments":0},)"
      R"({"clamp":3.0,"guess":"z","max_iterations":10,"segments":1,"stop":{"published":1e-06}},)"
      R"({"clamp":3.0,"guess":"z","max_iterations":10,"segments":1,"stop":{"published":1e-06}}],"name":"x"})");
  const Strategy back = strategy_from_json(to_json(example()));
  EXPECT_EQ(back, example());
  EXPECT_EQ(back.name, "x");
}

TEST(Strategy, EveryStopAndSegmentSizeRoundTrips) {
  std::vector<BlockPlan> plans;
  for (const std::string& norm : norm_names()) {
    for (const Scope scope : {Scope::kChunk, Scope::kImage}) {
      const Iterations iterations{3, Guess::kZ, 0, Stop{*norm_from_string(norm), 0.25, scope}};
      plans.push_back({Jacobi{iterations}});
      plans.push_back({Segments{iterations, SegmentCount{4}}});
      plans.push_back({Segments{iterations, SegmentLength{4}}});
    }
  }
  const Strategy strategy{"x", plans};
  EXPECT_EQ(strategy_from_json(to_json(strategy)), strategy);
  for (size_t i = 0; i < plans.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NE(to_json({"x", {plans[i]}}), to_json({"x", {plans[j]}})) << i << " and " << j;
      EXPECT_NE(describe({"x", {plans[i]}}), describe({"x", {plans[j]}})) << i << " and " << j;
    }
  }
}

TEST(Strategy, StopsAndLengthsAreDescribed) {
  const Iterations far{32, Guess::kZ, 0, Stop{Norm::kMaxAbs, 0.5, Scope::kImage}};
  EXPECT_EQ(describe({"x", {{Jacobi{far}}}}),
            "block 0: jacobi 32 guess z stop max_abs 0.5 an image");
  const Iterations near{32, Guess::kZ, 0, Stop{Norm::kRelativeMse, 1e-3}};
  EXPECT_EQ(describe({"x", {{Segments{near, SegmentLength{16}}}}}),
            "block 0: gs of 16 tokens x 32 guess z stop relative_mse 0.001");
}

TEST(Strategy, SegmentsCoverEveryInputOnce) {
  for (const int64_t tokens : {1, 2, 5, 16, 64, 256}) {
    for (int size = 1; size <= tokens; ++size) {
      std::vector<Segments> plans = {Segments{{}, SegmentLength{size}}};
      if (size > 1) plans.push_back(Segments{{}, SegmentCount{size}});
      for (const Segments& plan : plans) {
        int64_t next = 0, longest = 1;
        for (const Segment& segment : segments_of(plan, tokens)) {
          EXPECT_EQ(segment.first, next);
          EXPECT_LT(segment.first, segment.last);
          longest = std::max(longest, segment.last - segment.first);
          next = segment.last;
        }
        EXPECT_EQ(next, tokens - 1) << "the last token is never an input";
        EXPECT_EQ(longest_evaluation({plan}, tokens), longest);
      }
    }
  }
  EXPECT_EQ(segments_of({{}, SegmentCount{8}}, 64)[1], (Segment{8, 16}));
  EXPECT_EQ(segments_of({{}, SegmentCount{4}}, 10)[1], (Segment{2, 5}));  // floor(iT/G)
  EXPECT_EQ(segments_of({{}, SegmentLength{4}}, 10)[2], (Segment{8, 9}));
  EXPECT_THROW(segments_of({{}, SegmentCount{17}}, 16), Error);
}

TEST(Strategy, DamagedJsonIsAnError) {
  for (
      const char* text :
      {"{}", "[]", "3", R"({"name": "x", "blocks": [{}]})",
       R"({"name": "x", "blocks": [{"segments": 1}]})", R"({"name": 3, "blocks": []})",
       R"({"name": "x", "blocks": [{"segments": "many"}]})",
       R"({"name": "x", "blocks": [{"segments": 1, "max_iterations": 2, "guess": "y"}]})",
       R"({"name": "x", "blocks": [{"segments": -1, "max_iterations": 2, "guess": "z"}]})",
       R"({"name": "x", "blocks": [{"segments": 1, "max_iterations": 0, "guess": "z"}]})",
       R"({"name": "x", "blocks": [{"segment_length": 0, "max_iterations": 2, "guess": "z"}]})",
       R"({"name": "x", "blocks": [{"segments": 2, "max_iterations": 2, "guess": "z", "stop": {}}]})",
       R"({"name": "x", "blocks": [{"segments": 2, "max_iterations": 2, "guess": "z",
            "stop": {"max_abs": 1, "published": 1}}]})",
       R"({"name": "x", "blocks": [{"segments": 2, "max_iterations": 2, "guess": "z",
            "stop": {"max_rel": 1}}]})",
       R"({"name": "x", "blocks": [{"segments": 2, "max_iterations": 2, "guess": "z",
            "stop": {"max_abs": 1, "scope": "batch"}}]})"}) {
    EXPECT_THROW(strategy_from_json(Json::parse(text)), Error) << text;
  }
}

TEST(Strategy, DescribeRunsEqualBlocksTogether) {
  EXPECT_EQ(describe(example()),
            "block 3: gs 8 x 32 guess 0; block 2: sequential; blocks 1-0: jacobi 10 guess z clamp "
            "3 stop 1e-06");
  EXPECT_EQ(describe({"For", {{}, {}, {}}}), "blocks 2-0: sequential");
}

TEST(Strategy, AnOpenGuessIsKeptAndToldAsOne) {
  Strategy open = example();
  EXPECT_FALSE(open.has_open_guess());
  EXPECT_EQ(guess_of(open.blocks[1]), nullptr) << "a sequential block uses none";
  *guess_of(open.blocks[0]) = Guess::kAuto;
  EXPECT_TRUE(open.has_open_guess());
  EXPECT_EQ(strategy_from_json(to_json(open)), open);
  EXPECT_EQ(to_json(open)["blocks"][0]["guess"], "auto");
  EXPECT_TRUE(describe(open).starts_with("block 3: gs 8 x 32 guess auto; ")) << describe(open);
}

TEST(Strategy, WindowsRoundTrip) {
  const std::vector<Window> windows = {{64, 0.03, WindowGuess::kLinear, 3, "HF"},
                                       {1, 0, WindowGuess::kUp, 3, "F"},
                                       {1000, 1e-9, WindowGuess::kZ, 3, "FHH"},
                                       {8, 0.5, WindowGuess::kLinear, 1, "F"}};
  for (const Window& window : windows) {
    const Strategy strategy{"w", {{window}, {Sequential{}}}};
    EXPECT_EQ(strategy_from_json(to_json(strategy)), strategy) << to_json(strategy);
    EXPECT_EQ(strategy.needs_calibration(), window.guess == WindowGuess::kLinear);
    EXPECT_FALSE(strategy.has_open_guess());
    EXPECT_EQ(longest_evaluation(strategy.blocks[0], 64), std::min(window.width, 63));
    EXPECT_EQ(longest_evaluation(strategy.blocks[0], 1), 1);
  }
  EXPECT_EQ(describe({"", {{windows[0]}, {windows[1]}}}),
            "block 1: window 64 tolerance 0.03 guess linear sweeps 3 pattern HF; block 0: window 1 "
            "tolerance 0 guess up");
}

TEST(Strategy, DamagedWindowsAreAnError) {
  const Json sound = to_json({"w", {{Window{64, 0.03, WindowGuess::kLinear, 3, "HF"}}}});
  const auto with = [&](const char* key, const Json& value) {
    Json json = sound;
    json["blocks"][0][key] = value;
    return json;
  };
  EXPECT_NO_THROW(strategy_from_json(with("window", 63)));
  for (const Json& json :
       {with("window", 0), with("window", -1), with("window", "64"), with("tolerance", -0.1),
        with("tolerance", nullptr), with("guess", "zero"), with("guess", "auto"), with("sweeps", 0),
        with("pattern", "H"), with("pattern", ""), with("pattern", "FG")})
    EXPECT_THROW(strategy_from_json(json), Error) << json;
}

TEST(Guess, NamesReadBack) {
  for (const Guess guess : {Guess::kZ, Guess::kZero, Guess::kAuto}) {
    EXPECT_EQ(guess_from_string(to_string(guess)), guess);
  }
  EXPECT_THROW(guess_from_string("0"), Error);
}

}  // namespace
}  // namespace tarflow
