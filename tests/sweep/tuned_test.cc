// Strategies that are left to measurements, as sweep files state them.
#include <gmock/gmock.h>

#include "tests/sweep/strategies.h"

namespace tarflow::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Tuned, NamesStateTheDeviation) {
  for (const char* text :
       {"auto", "AUTO", "[auto]", "' Auto '", "{name: auto}", "auto-0.03", "auto-3e-2",
        "auto\xE2\x80\x93"
        "0.03"}) {
    const Strategy strategy = read(text);
    EXPECT_EQ(strategy.name, "auto") << text;
    EXPECT_EQ(strategy.blocks, std::vector<BlockPlan>(8, BlockPlan{Tuned{0.03}})) << text;
    EXPECT_EQ(strategy.open_deviation(), 0.03);
  }
  const Strategy near = read("{name: auto-.01, label: near}");
  EXPECT_EQ(near.name, "near");
  EXPECT_EQ(near.open_deviation(), 0.01);
  EXPECT_EQ(read("auto-0.01").name, "auto-0.01");
  EXPECT_FALSE(read("For").open_deviation());
  EXPECT_FALSE(near == read("auto")) << "the deviation is part of what a strategy is";
  EXPECT_EQ(strategy_from_json(to_json(near)), near);
  EXPECT_FALSE(near.sequential());
  EXPECT_EQ(describe(near), "blocks 7-0: chosen by measurements for deviation 0.01");
}

TEST(Tuned, WrongNamesSayWhy) {
  for (const char* text : {"auto-0", "auto--0.1", "auto-nan", "auto-inf", "auto-", "auto-1e999",
                           "auto-0.1-0.2", "auto-x", "{name: auto-0}"})
    EXPECT_THAT(problem_of(text), HasSubstr("is no deviation, a number above 0")) << text;
  EXPECT_THAT(problem_of("{name: auto, guess: z}"),
              HasSubstr("1:14: auto chooses the guesses of its blocks, so `guess` does nothing"));
  EXPECT_THAT(problem_of("{name: For, label: auto}"), HasSubstr("is the name of another strategy"));
  EXPECT_THAT(problem_of("{blocks: {7: auto, else: sequential}}"), HasSubstr("1:14"));
}

class TunedSweep : public SweepTest {
 protected:
  static std::string with(const std::string& experiments) {
    return "name: s\nmodels:\n  m: {checkpoint: cifar10_model_4_128_8_2_0.05.pth, image_size: 32, "
           "classes: 10}\nexperiments:\n" +
           experiments;
  }
};

TEST_F(TunedSweep, IsAnAxisOfAGrid) {
  const Sweep sweep =
      load(with("  - evaluate: {model: m, grid: {strategy: [For, auto, auto-0.03, auto-0.1]}}\n"));
  std::vector<std::string> names;
  for (const Point& point : sweep.points)
    names.push_back(point.settings.at("strategy").at("name").get<std::string>());
  EXPECT_THAT(names, ElementsAre("For", "auto", "auto-0.1"));
}

TEST_F(TunedSweep, IsRefusedWhereNothingIsTuned) {
  EXPECT_THAT(errors(with("  - measure: {model: m, images: data, strategy: auto}\n")),
              ElementsAre(HasSubstr("5:49 `strategy` cannot choose the strategy auto")));
}

}  // namespace
}  // namespace tarflow::sweep
