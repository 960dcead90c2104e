#include "framework/core/strategy.h"

#include <gtest/gtest.h>

#include "framework/core/error.h"

namespace tarflow {
namespace {

const BlockStrategy kJacobi{1, 10, Guess::kZ, 3.0, StopRule::kPublished, 1e-6};
const BlockStrategy kSegments{8, 32, Guess::kZero, 0, StopRule::kNone, 0};

// Sampling order: block 3 first.
Strategy example() { return {"x", {kSegments, {}, kJacobi, kJacobi}}; }

TEST(Strategy, BlocksByCheckpointIndex) {
  const Strategy strategy = example();
  EXPECT_EQ(strategy.block(3), kSegments);
  EXPECT_EQ(strategy.block(2), BlockStrategy{});
  EXPECT_EQ(strategy.block(0), kJacobi);
  EXPECT_THROW(strategy.block(4), std::out_of_range);
}

TEST(Strategy, SequentialMeansEveryBlock) {
  EXPECT_FALSE(example().sequential());
  EXPECT_TRUE((Strategy{"For", {{}, {}}}).sequential());
}

TEST(Strategy, TheNameIsNoPartOfIt) {
  Strategy other = example();
  other.name = "y";
  EXPECT_EQ(other, example());
  other.blocks[0].guess = Guess::kZ;
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

TEST(Strategy, SequentialBlocksAreEqualWhateverTheyDoNotUse) {
  const Strategy plain{"a", {{}}};
  const Strategy leftovers{"a", {{0, 7, Guess::kZero, 3.0, StopRule::kPublished, 1.0}}};
  EXPECT_EQ(to_json(plain), to_json(leftovers));
}

TEST(Strategy, DamagedJsonIsAnError) {
  for (const char* text :
       {"{}", "[]", "3", R"({"name": "x", "blocks": [{}]})",
        R"({"name": "x", "blocks": [{"segments": 1}]})", R"({"name": 3, "blocks": []})",
        R"({"name": "x", "blocks": [{"segments": "many"}]})",
        R"({"name": "x", "blocks": [{"segments": 1, "max_iterations": 2, "guess": "y"}]})"}) {
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
  open.blocks[1].guess = Guess::kAuto;
  EXPECT_FALSE(open.has_open_guess()) << "a sequential block uses none";
  open.blocks[0].guess = Guess::kAuto;
  EXPECT_TRUE(open.has_open_guess());
  EXPECT_EQ(strategy_from_json(to_json(open)).blocks[0].guess, Guess::kAuto);
  EXPECT_EQ(to_json(open)["blocks"][0]["guess"], "auto");
  EXPECT_TRUE(describe(open).starts_with("block 3: gs 8 x 32 guess auto; ")) << describe(open);
}

TEST(Guess, NamesReadBack) {
  for (const Guess guess : {Guess::kZ, Guess::kZero, Guess::kAuto}) {
    EXPECT_EQ(guess_from_string(to_string(guess)), guess);
  }
  EXPECT_THROW(guess_from_string("0"), Error);
}

}  // namespace
}  // namespace tarflow
