// The points that grid, zip, include and exclude span.
#include "framework/core/strategy.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SpaceTest : public SweepTest {
 protected:
  // One text a point: the values of `fields`, separated by spaces; "-" for none.
  std::vector<std::string> points(const std::string& settings, std::vector<std::string> fields) {
    sweep_ = load(evaluate_with(settings));
    std::vector<std::string> lines;
    for (const Point& point : sweep_.points) {
      std::string line;
      for (const std::string& field : fields) {
        const Json* value = point.settings.find(field);
        if (!line.empty()) line += ' ';
        line += !value               ? "-"
                : value->is_object() ? value->at("name").get<std::string>()
                : value->is_string() ? value->get<std::string>()
                                     : canonical(*value);
      }
      lines.push_back(line);
    }
    return lines;
  }
  std::vector<std::string> warnings() const {
    std::vector<std::string> lines;
    for (const Problem& problem : sweep_.warnings) {
      lines.push_back(
          fmt::format("{}:{} {}", problem.place.line, problem.place.column, problem.what));
    }
    return lines;
  }

  Sweep sweep_;
};

TEST_F(SpaceTest, AZipTakesTheFirstWithTheFirst) {
  EXPECT_THAT(
      points("      zip:\n        seed: [1, 2, 3]\n        cfg: [0, 0.5, 1]\n", {"seed", "cfg"}),
      ElementsAre("1 0.0", "2 0.5", "3 1.0"));
}

TEST_F(SpaceTest, GridAndZipAreCombinedInTheOrderOfTheFile) {
  EXPECT_THAT(points("      grid: {batch: [8, 9]}\n      zip: {seed: [1, 2], cfg: [3, 4]}\n",
                     {"batch", "seed", "cfg"}),
              ElementsAre("8 1 3.0", "8 2 4.0", "9 1 3.0", "9 2 4.0"));
  EXPECT_THAT(points("      zip: {seed: [1, 2], cfg: [3, 4]}\n      grid: {batch: [8, 9]}\n",
                     {"batch", "seed", "cfg"}),
              ElementsAre("8 1 3.0", "9 1 3.0", "8 2 4.0", "9 2 4.0"));
}

TEST_F(SpaceTest, GroupsNestInOneAnother) {
  EXPECT_THAT(
      points("      grid:\n        batch: [8, 9]\n        zip: {seed: [1, 2], cfg: [3, 4]}\n",
             {"batch", "seed", "cfg"}),
      ElementsAre("8 1 3.0", "8 2 4.0", "9 1 3.0", "9 2 4.0"));
  EXPECT_THAT(points("      zip:\n        num_images: [10, 20, 30, 40]\n"
                     "        grid: {seed: [1, 2], cfg: [3, 4]}\n",
                     {"num_images", "seed", "cfg"}),
              ElementsAre("10 1 3.0", "20 1 4.0", "30 2 3.0", "40 2 4.0"));
}

TEST_F(SpaceTest, AGridOfSpacesIsTheirProduct) {
  EXPECT_THAT(points("      grid:\n"
                     "        - zip: {seed: [1, 2], cfg: [3, 4]}\n"
                     "        - zip: {batch: [8, 9], num_images: [80, 90]}\n",
                     {"seed", "cfg", "batch", "num_images"}),
              ElementsAre("1 3.0 8 80", "1 3.0 9 90", "2 4.0 8 80", "2 4.0 9 90"));
  EXPECT_THAT(points("      grid:\n"
                     "        - include: [{seed: 1}, {seed: 2, cfg: 5}]\n"
                     "        - grid: {batch: [8, 9]}\n",
                     {"seed", "cfg", "batch"}),
              ElementsAre("1 0.0 8", "1 0.0 9", "2 5.0 8", "2 5.0 9"));
}

TEST_F(SpaceTest, AZipOfSpacesTakesTheirPointsTogether) {
  EXPECT_THAT(points("      zip:\n"
                     "        - grid: {seed: [1, 2], cfg: [3, 4]}\n"
                     "        - include: [{batch: 6}, {batch: 7}, {batch: 8}, {batch: 9}]\n",
                     {"seed", "cfg", "batch"}),
              ElementsAre("1 3.0 6", "1 4.0 7", "2 3.0 8", "2 4.0 9"));
}

TEST_F(SpaceTest, EntriesOfIncludeStandBesideTheGridOnTopOfThePlainSettings) {
  EXPECT_THAT(points("      num_images: 5\n      grid: {cfg: [1, 2]}\n"
                     "      include:\n        - {cfg: 7}\n        - {seed: 3, num_images: 6}\n",
                     {"cfg", "seed", "num_images"}),
              ElementsAre("1.0 0 5", "2.0 0 5", "7.0 0 5", "0.0 3 6"));
}

TEST_F(SpaceTest, WithoutGroupsOnlyEntriesArePoints) {
  EXPECT_THAT(
      points("      num_images: 5\n      include: [{cfg: 7}, {grid: {cfg: [8, 9]}, seed: 1}]\n",
             {"cfg", "seed", "num_images"}),
      ElementsAre("7.0 0 5", "8.0 1 5", "9.0 1 5"));
}

TEST_F(SpaceTest, AnEntryWithAConditionExtendsThePointsThatMatch) {
  EXPECT_THAT(points("      grid: {cfg: [0, 1, 2]}\n"
                     "      include:\n        - when: {cfg: {above: 0}}\n          grid: "
                     "{attn_temp: [0.5, 1]}\n",
                     {"cfg", "attn_temp"}),
              ElementsAre("0.0 1.0", "1.0 0.5", "1.0 1.0", "2.0 0.5", "2.0 1.0"));
  EXPECT_THAT(
      points("      grid: {cfg: [0, 1]}\n"
             "      include:\n        - {cfg: 3}\n        - {when: {cfg: {min: 1}}, seed: 9}\n"
             "        - {cfg: 5}\n",
             {"cfg", "seed"}),
      ElementsAre("0.0 0", "1.0 9", "3.0 9", "5.0 0"));
}

TEST_F(SpaceTest, ExcludedPointsAreDropped) {
  EXPECT_THAT(
      points("      grid: {cfg: [0, 1], seed: [1, 2, 3]}\n"
             "      exclude:\n        - {cfg: 1.0, seed: [1, 3]}\n        - {seed: 2, cfg: 0}\n",
             {"cfg", "seed"}),
      ElementsAre("0.0 1", "0.0 3", "1.0 2"));
  EXPECT_THAT(warnings(), IsEmpty());
}

TEST_F(SpaceTest, ConditionsCombine) {
  const std::string grid = "      grid: {seed: [1, 2, 3, 4, 5]}\n      exclude:\n";
  const auto left = [&](const std::string& condition) {
    return points(grid + "        - " + condition + "\n", {"seed"});
  };
  EXPECT_THAT(left("seed: {min: 2, max: 4}"), ElementsAre("1", "5"));
  EXPECT_THAT(left("seed: {above: 2, below: 4}"), ElementsAre("1", "2", "4", "5"));
  EXPECT_THAT(left("seed: {not: [1, 2]}"), ElementsAre("1", "2"));
  EXPECT_THAT(left("seed: {not: 3}"), ElementsAre("3"));
  EXPECT_THAT(left("any: [{seed: 1}, {seed: {min: 4}}]"), ElementsAre("2", "3"));
  EXPECT_THAT(left("all: [{seed: {min: 2}}, {seed: {max: 3}}]"), ElementsAre("1", "4", "5"));
  EXPECT_THAT(left("not: {seed: [2, 3]}"), ElementsAre("2", "3"));
  EXPECT_THAT(left("{seed: {min: 3}, not: {seed: 4}}"), ElementsAre("1", "2", "4"));
}

TEST_F(SpaceTest, ConditionsSeeDefaultsAndWhatIsAbsent) {
  EXPECT_THAT(
      points("      grid: {seed: [1, 2]}\n      exclude: [{num_images: 256, seed: 1}]\n", {"seed"}),
      ElementsAre("2"));
  EXPECT_THAT(
      points("      include: [{batch: 4}, {seed: 5}]\n      exclude: [{batch: null}]\n", {"batch"}),
      ElementsAre("4"));
  EXPECT_THAT(
      points("      include: [{batch: 4}, {seed: 5}]\n      exclude: [{batch: {not: null}}]\n",
             {"batch", "seed"}),
      ElementsAre("- 5"));
  EXPECT_THAT(points("      include: [{classes_kept: [1, 2]}, {classes_kept: [3]}]\n"
                     "      exclude: [{classes_kept: [1, 2]}]\n",
                     {"classes_kept"}),
              ElementsAre("[3]"));
}

TEST_F(SpaceTest, StrategiesAreComparedByWhatTheyDoOrByTheirNames) {
  const std::string grid =
      "      grid:\n        strategy:\n          - For\n          - [7-8-4-4]\n"
      "          - {name: 7-8-4-4, guess: zero, label: mine}\n"
      "          - {num_GS_list: [8, 1, 1, 1, 1, 1, 1, 1], max_jacobi_list: [9, 4, 4, 4, 4, 4, 4, "
      "4]}\n"
      "      exclude:\n        - strategy: ";
  const auto left = [&](const std::string& value) {
    return points(grid + value + "\n", {"strategy"});
  };
  EXPECT_THAT(left("for"), ElementsAre("[7-8-4-4]", "mine", "[7-8-9-4]"));
  EXPECT_THAT(left("mine"), ElementsAre("For", "[7-8-4-4]", "[7-8-9-4]"));
  EXPECT_THAT(left("{name: 7-8-4-4, guess: zero}"), ElementsAre("For", "[7-8-9-4]"));
  EXPECT_THAT(left("[7-8-9-4]"), ElementsAre("For", "[7-8-4-4]", "mine"));
  EXPECT_THAT(left("[For, '7-8-9-4']"), ElementsAre("[7-8-4-4]", "mine"));
  EXPECT_THAT(left("{not: For}"), ElementsAre("For"));
}

TEST_F(SpaceTest, AnImpossibleStrategyOfAModelCanBeExcluded) {
  EXPECT_THAT(points("      grid:\n        model: [m, small]\n        strategy: [For, [7-8-4-4]]\n"
                     "      exclude: [{model: small, strategy: [7-8-4-4]}]\n",
                     {"model", "strategy"}),
              ElementsAre("m For", "m [7-8-4-4]", "small For"));
  EXPECT_THAT(
      points("      zip:\n        model: [m, small]\n        strategy: [[7-8-4-4], [3-2-4-4]]\n",
             {"model", "strategy"}),
      ElementsAre("m [7-8-4-4]", "small [3-2-4-4]"));
}

TEST_F(SpaceTest, ConditionsThatMatchNothingAreWarnedOf) {
  points(
      "      grid: {cfg: [0, 1]}\n      exclude:\n        - {cfg: 3}\n        - cfg: 0\n"
      "      include:\n        - when: {seed: 8}\n          cfg: 4\n",
      {"cfg"});
  EXPECT_THAT(warnings(), ElementsAre("9:11 no point matches this condition of `exclude`",
                                      "12:17 no point matches this condition of `include`"));
}

TEST_F(SpaceTest, PointsOfAZipHaveTheIdsOfThePlainPoints) {
  const Sweep plain = load(evaluate_with("      cfg: 2\n      seed: 5\n"));
  const Sweep zip = load(evaluate_with("      zip: {cfg: [1, 2], seed: [4, 5]}\n"));
  const Sweep entry = load(evaluate_with("      seed: 5\n      include: [{cfg: 2}]\n"));
  EXPECT_EQ(zip.points.at(1).id, plain.points.at(0).id);
  EXPECT_EQ(entry.points.at(0).id, plain.points.at(0).id);
}

TEST_F(SpaceTest, WhenAllPointsAreExcludedTheConditionIsNamed) {
  const auto error = [&](const std::string& settings) {
    try {
      points(settings, {"cfg"});
    } catch (const Error& failure) {
      const Problem& problem = failure.problems().at(0);
      return fmt::format("{}:{} {}", problem.place.line, problem.place.column, problem.what);
    }
    return std::string();
  };
  EXPECT_EQ(error("      grid: {cfg: [0, 1]}\n      exclude: [{cfg: {min: 0}}]\n"),
            "8:17 this condition excludes all points of `evaluate`");
  EXPECT_EQ(error("      grid: {cfg: [0, 1]}\n      exclude:\n        - {cfg: 0}\n        - {seed: "
                  "9}\n        - {cfg: 1}\n"),
            "9:11 this condition, with those on line 11 excludes all points of `evaluate`");
  EXPECT_EQ(error("      grid:\n        - grid: {cfg: [1]}\n          exclude: [{cfg: 1}]\n"),
            "9:21 this condition excludes all points of `evaluate`");
  EXPECT_EQ(error("      cfg: 1\n      exclude: [{cfg: 1}]\n"),
            "8:17 this condition excludes all points of `evaluate`");
}

TEST_F(SpaceTest, AnExperimentWhosePointsAreAllExcludedIsWarnedOfBesideOthers) {
  sweep_ = load(evaluate_with("      exclude: [{cfg: 1}]\n      cfg: 1\n") +
                "  - evaluate: {model: m, strategy: For, num_images: 256, cfg: 2}\n");
  EXPECT_THAT(sweep_.points, SizeIs(1));
  EXPECT_THAT(warnings(), ElementsAre("7:17 this condition excludes all points of `evaluate`"));
}

TEST_F(SpaceTest, ManyPointsShareTheirValues) {
  std::string list = "1";
  for (int i = 2; i <= 100; ++i) list += fmt::format(", {}", i);
  const Sweep sweep = load(evaluate_with(fmt::format(
      "      grid: {{seed: [{0}], cfg: [{0}]}}\n      exclude: [{{seed: {{above: 50}}}}]\n",
      list)));
  ASSERT_THAT(sweep.points, SizeIs(5000));
  EXPECT_EQ(sweep.points[0].settings.find_shared("seed")->get(),
            sweep.points[1].settings.find_shared("seed")->get());
  EXPECT_EQ(sweep.points[0].settings.find_shared("strategy")->get(),
            sweep.points[4999].settings.find_shared("strategy")->get());
  EXPECT_EQ(sweep.points[0].place, sweep.points[4999].place);
}

}  // namespace
}  // namespace tarflow::sweep
