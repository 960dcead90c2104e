// Strategies written as YAML are read as they were.
#include "framework/core/strategy_yaml.h"

#include <gmock/gmock.h>

#include "tests/sweep/strategies.h"

namespace tarflow::sweep {
namespace {

Strategy mixed() {
  Strategy strategy{"tuned 0.03", std::vector<BlockPlan>(8)};
  strategy.blocks[1] = {Window{16, 0.015, WindowGuess::kLinear, 3, "HF"}};
  strategy.blocks[2] = {Window{64, 1e-5, WindowGuess::kUp, 3, "F"}};
  strategy.blocks[3] = published_plan(8, 4);
  strategy.blocks[4] = published_plan(1, 4);
  strategy.blocks[5] = {Segments{
      {32, Guess::kZero, 0, Stop{Norm::kRelativeMse, 1e-3, Scope::kImage}}, SegmentLength{32}}};
  strategy.blocks[6] = strategy.blocks[1];
  return strategy;
}

TEST(StrategyYaml, IsReadAsItWas) {
  for (const Strategy& strategy : {mixed(), read("For"), read("[7-8-32-10]"), read("Window-64")}) {
    const Strategy renamed{"mine: yes", strategy.blocks};
    for (const std::string& text : {to_yaml(renamed), to_yaml(renamed, 4), to_yaml_line(renamed)}) {
      const Strategy back = read(text);
      EXPECT_EQ(back, strategy) << text;
      EXPECT_EQ(back.name, "mine: yes") << text;
    }
  }
}

TEST(StrategyYaml, NamesEqualBlocksTogether) {
  EXPECT_EQ(to_yaml({"x", read("For").blocks}),
            "label: \"x\"\nblocks:\n  7/6/5/4/3/2/1/0: sequential\n");
  EXPECT_THAT(to_yaml_line(mixed()),
              testing::HasSubstr("6/1: {guess: linear, pattern: HF, sweeps: 3, tolerance: 0.015, "
                                 "window: 16}"));
}

}  // namespace
}  // namespace tarflow::sweep
