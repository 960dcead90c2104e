// Products of the numbers inside a strategy: what they stand for, where they may stand, and what is
// wrong.
#include "framework/sweep/strategy_axes.h"

#include "tests/sweep/strategies.h"

namespace tarflow::sweep {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StrategyAxes : public SweepTest {
 protected:
  // The strategies of the points, in order.
  std::vector<std::string> names(const std::string& text) const {
    std::vector<std::string> names;
    for (const Point& point : load(text).points)
      names.push_back(point.settings.at("strategy").at("name").get<std::string>());
    return names;
  }

  std::vector<std::string> names_in_grid(const std::string& strategies) const {
    return names(evaluate_with("      grid: {strategy: " + strategies + "}\n"));
  }
};

TEST(Stack, IsThePublishedNameByItsNumbers) {
  for (const auto& [text, name] :
       {std::pair("{stack: 7, segments: 8, iterations: 32, else: 10}", "[7-8-32-10]"),
        std::pair("{stack: 0/6, segments: 8, iterations: 32, else: 20}", "[0/6-8-32-20]"),
        std::pair("{else: 20, stack: '6/0', iterations: 32, segments: 8}", "[0/6-8-32-20]"),
        std::pair("{stack: 7, segments: 256, iterations: 1, else: 10}", "[7-256-1-10]")}) {
    EXPECT_EQ(read(text), read(name)) << text;
    EXPECT_EQ(read(text).name, read(name).name) << text;
  }
  EXPECT_EQ(
      *guess_of(read("{stack: 7, segments: 8, iterations: 32, else: 10, guess: zero}").blocks[0]),
      Guess::kZero);
  EXPECT_EQ(read("{stack: 7, segments: 8, iterations: 32, else: 10, label: mine}").name, "mine");
}

TEST(Stack, ThatMeansNothingIsRefused) {
  const auto problem = [](const std::string& stack, const std::string& rest) {
    return problem_of("{stack: " + stack + ", segments: 8, iterations: 32" + rest + "}");
  };
  EXPECT_THAT(problem("7", ""),
              AllOf(HasSubstr("`stack` without `else`"), HasSubstr("[7-8-32-10]")));
  EXPECT_THAT(problem("8", ", else: 10"), HasSubstr("block 8"));
  EXPECT_THAT(problem("x", ", else: 10"), HasSubstr("`stack` is not a block: the text `x`"));
  EXPECT_THAT(problem("7/", ", else: 10"), HasSubstr("`stack` is not a block"));
  EXPECT_THAT(problem("7/7", ", else: 10"), HasSubstr("block 7 occurs twice"));
  EXPECT_THAT(problem("7", ", else: 0"), HasSubstr("below its minimum"));
  EXPECT_THAT(problem("7", ", els: 3"), HasSubstr("did you mean `else`"));
  EXPECT_THAT(problem_of("{stack: 7, segments: 257, iterations: 3, else: 1}"),
              HasSubstr("257 segments for the 256 tokens"));
}

TEST_F(StrategyAxes, ListsAreMultipliedTheLastKeyFastest) {
  EXPECT_THAT(names_in_grid("[For, {stack: 7, segments: [4, 8], iterations: [2, 3], else: 5}]"),
              ElementsAre("For", "[7-4-2-5]", "[7-4-3-5]", "[7-8-2-5]", "[7-8-3-5]"));
  EXPECT_THAT(names_in_grid("{product: {window: [16, 32], tolerance: [0.02, 0.05]}}"),
              ElementsAre("Window-16-0.02", "Window-16-0.05", "Window-32-0.02", "Window-32-0.05"))
      << "a product is a list by itself";
  EXPECT_THAT(names_in_grid("[{product: {stack: [6, 0/6], segments: 2, iterations: 3, else: 5}}]"),
              ElementsAre("[6-2-3-5]", "[0/6-2-3-5]"));
  EXPECT_THAT(names_in_grid("[{product: {window: 16, tolerance: 0.1, guess: [up, z]}}]"),
              SizeIs(2));
}

TEST_F(StrategyAxes, HaveNames) {
  const std::string strategies =
      "strategies:\n  product: {window: [16, 32], tolerance: 0.05}\n"
      "  many: {stack: 7, segments: [4, 8], iterations: 2, else: 5}\n";
  EXPECT_THAT(names(strategies + evaluate_with("      grid: {strategy: [For, many, product]}\n")),
              ElementsAre("For", "[7-4-2-5]", "[7-8-2-5]", "Window-16-0.05", "Window-32-0.05"));
  EXPECT_THAT(names(strategies + evaluate_with("      grid: {strategy: many}\n")), SizeIs(2));
  EXPECT_THAT(names(strategies + evaluate_with("      grid: {strategy: [For, many], cfg: [0, 1]}\n"
                                               "      exclude: {strategy: many, cfg: 1}\n")),
              ElementsAre("For", "For", "[7-4-2-5]", "[7-8-2-5]"));
}

TEST_F(StrategyAxes, OfOneGridAreRunOnceWhereTheyMeanTheSame) {
  const Sweep sweep =
      load(evaluate_with("      grid: {strategy: ['[7-4-2-5]', {stack: 7, segments: [4, 8], "
                         "iterations: 2, else: 5}]}\n"));
  EXPECT_THAT(sweep.points, SizeIs(2));
  EXPECT_THAT(sweep.warnings, SizeIs(1));
}

TEST_F(StrategyAxes, OutsideAGridAreNoStrategy) {
  EXPECT_THAT(errors(evaluate_with(
                  "      strategy: {stack: 7, segments: [4, 8], iterations: 2, else: 5}\n")),
              ElementsAre(HasSubstr("7:17 a product states several strategies")));
  EXPECT_THAT(repairs_, Contains(HasSubstr("grid: {strategy:")));
  EXPECT_THAT(errors("strategies: {many: {stack: 7, segments: [4, 8], iterations: 2, else: 5}}\n" +
                     evaluate_with("      strategy: many\n")),
              ElementsAre(HasSubstr("8:17 a product states several strategies")));
}

TEST_F(StrategyAxes, FaultsAreToldOnceAtTheirPlace) {
  EXPECT_THAT(errors(evaluate_with("      grid:\n        strategy:\n"
                                   "          - {stack: 7, segments: [4, 99], iterations: [2, 3], "
                                   "else: 5}\n")),
              ElementsAre(HasSubstr("99 segments for the 64 tokens")));
  EXPECT_THAT(errors(evaluate_with("      grid: {strategy: [{stack: 7, segments: [4, x], "
                                   "iterations: [2, 3], else: 5}]}\n")),
              ElementsAre(HasSubstr("7:50 `segments`")));
  EXPECT_THAT(errors(evaluate_with("      grid: {strategy: [{product: {cfg: [1, 2]}}]}\n")),
              ElementsAre(HasSubstr("this product states no strategies")));
  EXPECT_THAT(errors(evaluate_with("      grid: {strategy: [{product: {window: [8, 16], tolerance: "
                                   "0.1, label: x}}]}\n")),
              ElementsAre(HasSubstr("one `label` for all strategies")));
  EXPECT_THAT(errors(evaluate_with("      grid: {strategy: [{product: 3}]}\n")), SizeIs(1));
  EXPECT_THAT(errors("strategies: {bad: {stack: 7, segments: [4, 8], iteration: 2, else: 5}}\n" +
                     evaluate_with("")),
              Contains(HasSubstr("`iteration`")));
}

TEST_F(StrategyAxes, OutsideOfAProductWindowsAreOneABlock) {
  EXPECT_THAT(
      errors(evaluate_with("      grid: {strategy: [{window: [16, 64], tolerance: 0.05}]}\n")),
      ElementsAre(HasSubstr("2 entries, but the model has 8 blocks")));
}

TEST_F(StrategyAxes, MaySetFromTheCommandLine) {
  const std::filesystem::path file = write("test.yaml", evaluate_with(""));
  LoadOptions options;
  options.allow_missing = true;
  options.set = {"strategy=[{stack: 7, segments: [4, 8], iterations: 2, else: 5}]"};
  std::vector<std::string> names;
  for (const Point& point : load_sweep(file, test_schemas(), options).points)
    names.push_back(point.settings.at("strategy").at("name").get<std::string>());
  EXPECT_THAT(names, ElementsAre("[7-4-2-5]", "[7-8-2-5]"));
}

}  // namespace
}  // namespace tarflow::sweep
