// Valid sweeps: what becomes of them.
#include "framework/sweep/sweep.h"

#include <cstdlib>
#include <set>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/writer.h"
#include "framework/core/hash.h"
#include "framework/core/strategy.h"
#include "tests/support/plans.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<Json> column(const Sweep& sweep, const char* field) {
  std::vector<Json> values;
  for (const Point& point : sweep.points)
    values.push_back(point.settings.json().value(field, Json()));
  return values;
}

std::vector<std::string> whats(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) {
    lines.push_back(
        fmt::format("{}:{} {}", problem.place.line, problem.place.column, problem.what));
  }
  return lines;
}

// A checkpoint of zeros of the given shape.
void write_untrained(const std::filesystem::path& path, const ModelShape& shape) {
  std::vector<checkpoint::TensorToWrite> tensors;
  for (const auto& expected : checkpoint::expected_tensors(shape)) {
    int64_t elements = 1;
    for (const int64_t size : expected.shape) elements *= size;
    tensors.push_back({expected.name, checkpoint::DType::kFloat32, expected.shape, [elements] {
                         return std::vector<std::byte>(static_cast<size_t>(elements) * 4);
                       }});
  }
  checkpoint::write_checkpoint(path, tensors);
}

TEST_F(SweepTest, OnePointWithDefaultsFilledIn) {
  const Sweep sweep = load(evaluate_with("      cfg: 1\n      num_images: 4.0\n      note: 12\n"));
  EXPECT_EQ(sweep.name, "test");
  EXPECT_TRUE(sweep.file.is_absolute());
  ASSERT_THAT(sweep.points, SizeIs(1));
  const Point& point = sweep.points[0];
  EXPECT_EQ(point.experiment, "evaluate");
  EXPECT_EQ(*point.place, (Place{(folder_ / "test.yaml").string(), 6, 5}));
  Json settings = point.settings.json();
  EXPECT_TRUE(strategy_from_json(settings.at("strategy")).sequential());
  settings.erase("strategy");
  EXPECT_EQ(
      canonical(settings),
      R"({"attn_temp":1.0,"cfg":1.0,"exact":false,"keep_images":64,"model":"m","norm":"all","note":"12",)"
      R"("num_images":4,"seed":0,"self_denoising_lr":0.0})");
}

TEST_F(SweepTest, GridsAreRowMajorInTheOrderOfTheFile) {
  const Sweep sweep = load(evaluate_with(
      "      grid:\n        seed: [3, 1]\n        cfg: [0, 1.0e-1, 2e0]\n        exact: [true]\n"));
  EXPECT_THAT(column(sweep, "seed"), ElementsAre(3, 3, 3, 1, 1, 1));
  EXPECT_THAT(column(sweep, "cfg"), ElementsAre(0.0, 0.1, 2.0, 0.0, 0.1, 2.0));
  EXPECT_THAT(sweep.warnings, IsEmpty());
}

TEST_F(SweepTest, ListFieldsTakeListsOfListsInAGrid) {
  const Sweep sweep =
      load(evaluate_with("      scales: [1, 2.5]\n      grid: {classes_kept: [[0, 1], [9]]}\n"));
  EXPECT_THAT(column(sweep, "classes_kept"), ElementsAre(Json({0, 1}), Json({9})));
  EXPECT_EQ(sweep.points[0].settings.at("scales"), Json({1.0, 2.5}));
}

TEST_F(SweepTest, StrategiesDependOnTheModelOfThePoint) {
  const Sweep sweep =
      load(evaluate_with("      grid:\n        strategy: [For, [3-16-4-4], {name: 3-8-4-4, guess: "
                         "zero}]\n        model: [m, small]\n"));
  ASSERT_THAT(sweep.points, SizeIs(6));
  EXPECT_THAT(column(sweep, "model"), ElementsAre("m", "small", "m", "small", "m", "small"));
  const auto strategy = [&](size_t i) {
    return strategy_from_json(sweep.points[i].settings.at("strategy"));
  };
  EXPECT_EQ(strategy(2).blocks.size(), 8U);
  EXPECT_EQ(strategy(2).block(3), plan_of(16, 4, Guess::kZ, 3.0, published_stop()));
  EXPECT_EQ(strategy(3).blocks.size(), 4U);
  EXPECT_TRUE(strategy(3).block(3).sequential());  // 16 tokens
  EXPECT_EQ(*guess_of(strategy(5).block(3)), Guess::kZero);
}

TEST_F(SweepTest, AModelThatCannotHaveTheStrategyIsNamedByItsBlocks) {
  EXPECT_THAT(errors(evaluate_with("      strategy: [7-8-4-4]\n      grid: {model: [m, small]}\n")),
              ElementsAre("7:17 [7-8-4-4] names block 7, but the model has 4 blocks"));
}

TEST_F(SweepTest, DefaultsServeEveryExperimentThatHasTheField) {
  write("images/a.png", "x");
  const Sweep sweep =
      load(std::string(kModels) +
           "defaults: {model: m, num_images: 7, images: images, cfg: 2, strategy: For}\n"
           "experiments:\n"
           "  - measure\n"
           "  - measure: {num_images: 8}\n"
           "  - evaluate:\n"
           "      grid: {num_images: [9]}\n");
  EXPECT_THAT(column(sweep, "num_images"), ElementsAre(7, 8, 9));
  EXPECT_THAT(column(sweep, "cfg"), ElementsAre(Json(), Json(), 2.0));
  EXPECT_EQ(sweep.points[0].settings.at("images"), (folder_ / "images").string());
}

TEST_F(SweepTest, DefaultsThatServeNobodyAreWarnedOf) {
  write("images/a.png", "x");
  const Sweep sweep =
      load(std::string(kModels) +
           "defaults: {model: m, images: images, cfg: 2}\nexperiments: [measure]\n");
  EXPECT_THAT(whats(sweep.warnings), ElementsAre("4:38 no experiment of this sweep has a `cfg`"));
}

TEST_F(SweepTest, ValuesListedTwiceAreRunOnce) {
  const Sweep sweep =
      load(evaluate_with("      grid:\n        cfg: [1, 0, 1.0]\n        strategy: [For, "
                         "[7-8-4-4], for, '[7-8-4-4]']\n"));
  EXPECT_THAT(sweep.points, SizeIs(4));
  EXPECT_THAT(
      whats(sweep.warnings),
      ElementsAre(
          "8:21 this `cfg` is the same as value 1 of the list, on line 8; it is run once",
          "9:36 this `strategy` is the same as value 1 of the list, on line 9; it is run once",
          "9:41 this `strategy` is the same as value 2 of the list, on line 9; it is run once"));
}

TEST_F(SweepTest, WindowsThatTheModelMakesEqualAreToldWhy) {
  const Sweep sweep =
      load(evaluate_with("      grid: {strategy: [Window-64, {window: 128, tolerance: 0.03}, "
                         "Window-16, Window-16]}\n"));
  EXPECT_EQ(sweep.points.size(), 2U);
  EXPECT_EQ(sweep.points[0].settings.at("strategy").at("name"), "Window-63");
  ASSERT_EQ(sweep.warnings.size(), 2U);
  EXPECT_THAT(sweep.warnings[0].what,
              HasSubstr("on line 7: of 64 tokens a window has at most 63; it is run once"));
  EXPECT_THAT(sweep.warnings[1].what, HasSubstr("value 3 of the list, on line 7; it is run once"));
}

TEST_F(SweepTest, PointsOfTwoExperimentsAreRunOnceAndBothAreNamed) {
  const Sweep sweep = load(evaluate_with("      grid: {cfg: [0, 1, 2]}\n") +
                           "  - evaluate: {grid: {cfg: [1, 2, 3]}}\n");
  EXPECT_THAT(column(sweep, "cfg"), ElementsAre(0.0, 1.0, 2.0, 3.0));
  EXPECT_THAT(
      whats(sweep.warnings),
      ElementsAre(
          "8:5 2 points of this experiment are already in the one on line 6; they are run once"));
}

TEST_F(SweepTest, FieldsOutsideTheIdentityMakeNoNewPoints) {
  const Sweep sweep = load(evaluate_with("      grid: {keep_images: [1, 2, 3], cfg: [0, 1]}\n"));
  EXPECT_THAT(sweep.points, SizeIs(2));
  EXPECT_THAT(
      whats(sweep.warnings),
      ElementsAre("6:5 4 points of this experiment repeat others of its grid; they are run once"));
}

TEST_F(SweepTest, IdsAreThoseOfTheCanonicalSettings) {
  const Sweep sweep =
      load(evaluate_with("      note: \"a \\\"quote\\\" and ü\"\n      classes_kept: [1]\n"
                         "      grid: {strategy: [For, [7-8-4-4]], cfg: [0, 0.1]}\n"));
  const ExperimentSchema schema = test_schemas()[0];
  for (const Point& point : sweep.points) {
    Json settings = point.settings.json();
    settings.erase("keep_images");  // Identity::kNone
    settings["strategy"] = settings["strategy"]["blocks"];
    EXPECT_EQ(point.id,
              short_hash(canonical(
                  {{"experiment", "evaluate"}, {"revision", 2}, {"settings", settings}})));
    EXPECT_EQ(point.id, point_id(schema, point.settings));
  }
}

TEST_F(SweepTest, IdsDependOnRevisionAndValuesButNotOnLabelsPathsAndSpelling) {
  const auto id = [&](const std::string& settings) {
    return load(evaluate_with(settings)).points.at(0).id;
  };
  const std::string plain = id("      cfg: 1\n");
  EXPECT_EQ(id("      cfg: 1.0\n      images: some/where\n      keep_images: 3\n"), plain);
  EXPECT_EQ(id("      cfg: 1e0\n      strategy: {name: for, label: mine}\n"), plain);
  EXPECT_EQ(id("      cfg: +1\n      attn_temp: 1\n"), plain);
  EXPECT_NE(id("      cfg: 1\n      seed: 1\n"), plain);
  EXPECT_NE(id("      cfg: 1\n      batch: 64\n"), plain);
  EXPECT_EQ(id("      cfg: 0\n"), id("      cfg: -0.0\n"));
  ExperimentSchema raised = test_schemas()[0];
  ++raised.revision;
  const Point point = load(evaluate_with("      cfg: 1\n")).points.at(0);
  EXPECT_NE(point_id(raised, point.settings), plain);
}

TEST_F(SweepTest, WhatChoosesGuessesIsPartOfThePointsThatLeaveOneOpen) {
  const char* const kAuto = "      strategy: {name: 7-8-4-4, guess: auto}\n";
  const auto point = [&](const std::string& settings) {
    return load(evaluate_with(settings)).points.at(0);
  };
  const Point open = point(kAuto + std::string("      guess_images: pictures\n"));
  EXPECT_EQ(open.settings.at("guess_num_images"), 1000);
  EXPECT_TRUE(open.settings.contains("guess_images"));
  EXPECT_NE(open.id, point("      strategy: 7-8-4-4\n").id);
  // The images count by their content, which the job's key has, and not by their place.
  EXPECT_EQ(open.id, point(kAuto + std::string("      guess_images: others\n")).id);
  EXPECT_NE(open.id, point(kAuto + std::string("      guess_images: pictures\n"
                                               "      guess_num_images: 10\n"))
                         .id);
  // Where nothing is to be chosen they are no part of the point.
  const Point plain = point("      strategy: 7-8-4-4\n      guess_images: pictures\n");
  EXPECT_EQ(plain.id, point("      strategy: 7-8-4-4\n      guess_num_images: 7\n").id);
  EXPECT_FALSE(plain.settings.contains("guess_images"));
  EXPECT_FALSE(plain.settings.contains("guess_num_images"));
}

TEST_F(SweepTest, AGridOfOpenAndStatedGuessesHasImagesForTheOpenOnes) {
  const Sweep sweep = load(
      evaluate_with("      guess_images: pictures\n      grid:\n        strategy: [For, {name: "
                    "7-8-4-4, guess: auto}]\n        guess_num_images: [10, 20]\n"));
  ASSERT_EQ(sweep.points.size(), 3U) << "For is one point whatever the number of images";
  EXPECT_FALSE(sweep.points[0].settings.contains("guess_images"));
  EXPECT_EQ(sweep.points[1].settings.at("guess_num_images"), 10);
  EXPECT_EQ(sweep.points[2].settings.at("guess_num_images"), 20);
}

TEST_F(SweepTest, GuessImagesThatChooseNothingAreWarnedOf) {
  const Sweep sweep = load(evaluate_with("      guess_images: pictures\n"));
  ASSERT_EQ(sweep.warnings.size(), 1U);
  EXPECT_EQ(sweep.warnings[0].place.line, 7);
  EXPECT_NE(sweep.warnings[0].what.find("`guess_images` changes nothing"), std::string::npos);
}

TEST_F(SweepTest, PathsAreLookedForBesideTheFileThenInModelsAndData) {
  write("data/pictures/a.png", "x");
  const std::string text =
      "models:\n  m: {checkpoint: x_model_4_128_8_2_0.05.pth, image_size: 32, classes: 0}\n"
      "experiments:\n  - measure: {model: m, images: pictures}\n";
  const auto images = [&](const std::filesystem::path& file) {
    return load_sweep(file, test_schemas(), {.allow_missing = true})
        .points.at(0)
        .settings.at("images")
        .get<std::string>();
  };
  EXPECT_EQ(images(write("sweeps/a.yaml", text)), (folder_ / "data/pictures").string());
  EXPECT_EQ(images(write("a.yaml", text)), (folder_ / "data/pictures").string());
  write("sweeps/pictures/a.png", "x");
  EXPECT_EQ(images(folder_ / "sweeps/a.yaml"), (folder_ / "sweeps/pictures").string());
  const std::string absolute =
      text.substr(0, text.rfind("pictures")) + (folder_ / "data").string() + "}\n";
  EXPECT_EQ(images(write("b.yaml", absolute)), (folder_ / "data").string());
}

TEST_F(SweepTest, TheHomeFolderIsWrittenAsATilde) {
  write("home/pictures/a.png", "x");
  const char* before = std::getenv("HOME");
  const std::string kept = before ? before : "";
  ::setenv("HOME", (folder_ / "home").c_str(), 1);
  const Sweep sweep = load(evaluate_with("      images: ~/pictures\n"));
  EXPECT_EQ(sweep.points[0].settings.at("images"), (folder_ / "home/pictures").string());
  EXPECT_THAT(whats(sweep.missing), ElementsAre(HasSubstr("the checkpoint of model `m`")));
  before ? ::setenv("HOME", kept.c_str(), 1) : ::unsetenv("HOME");
}

TEST_F(SweepTest, AMissingModelHasTheShapeOfItsNameAndStatements) {
  const Sweep sweep = load(evaluate_with(""));
  const Model& model = sweep.models.at("m");
  EXPECT_FALSE(model.present);
  EXPECT_EQ(model.shape, (ModelShape{32, 4, 128, 8, 2, 10, 0.05}));
  EXPECT_EQ(model.checkpoint, folder_ / "x_model_4_128_8_2_0.05.pth");
  EXPECT_EQ(model.place.line, 2);
  EXPECT_THAT(sweep.missing, SizeIs(1));  // `small` is used by no point
}

TEST_F(SweepTest, APresentModelHasTheShapeOfItsTensors) {
  const ModelShape shape{8, 2, 64, 3, 1, 5, 0.1};
  std::filesystem::create_directories(folder_ / "models");
  write_untrained(folder_ / "models/tiny_model_2_64_3_1_0.1.pth", shape);
  const std::string models = "models:\n  t: {checkpoint: tiny_model_2_64_3_1_0.1.pth, ";
  const std::string rest = "}\nexperiments:\n  - evaluate: {model: t, strategy: [2-4-3-2]}\n";
  const Sweep sweep =
      load_sweep(write("a.yaml", models + "channels: 64, classes: 5" + rest), test_schemas());
  EXPECT_TRUE(sweep.models.at("t").present);
  EXPECT_EQ(sweep.models.at("t").shape, shape);
  EXPECT_THAT(errors(models + "channels: 128, classes: 5, blocks: 3" + rest),
              ElementsAre("2:58 `channels` is 128, but the checkpoint says 64"));
  EXPECT_THAT(errors(models + "noise_std: 0.2" + rest),
              ElementsAre("2:59 `noise_std` is 0.2, but the file's name says 0.1"));
}

TEST_F(SweepTest, APresentModelThatSaysNothingOfItsNoise) {
  write_untrained(folder_ / "tiny.pth", {8, 2, 64, 3, 1, 5, 0});
  const std::string rest = "}\nexperiments:\n  - evaluate: {model: t, strategy: For}\n";
  EXPECT_THAT(errors("models:\n  t: {checkpoint: tiny.pth" + rest),
              ElementsAre("2:19 model `t`: neither the checkpoint nor its name states noise_std"));
  EXPECT_EQ(load("models:\n  t: {checkpoint: tiny.pth, noise_std: 0.1" + rest)
                .models.at("t")
                .shape.noise_std,
            0.1);
}

TEST_F(SweepTest, ACheckpointThatIsNone) {
  write("x_model_4_128_8_2_0.05.pth", "no checkpoint at all");
  const auto found = errors(evaluate_with(""));
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(found[0], HasSubstr("2:19 "));
  EXPECT_THAT(found[0], HasSubstr("x_model_4_128_8_2_0.05.pth"));
}

TEST_F(SweepTest, AnchorsAndMergeKeysWork) {
  const Sweep sweep = load(std::string(kModels) +
                           "experiments:\n"
                           "  - evaluate: &base\n"
                           "      model: m\n"
                           "      strategy: &s [7-8-4-4]\n"
                           "  - evaluate:\n"
                           "      <<: *base\n"
                           "      cfg: 2\n"
                           "  - evaluate: {<<: *base, model: small, strategy: {name: 3-8-4-4}}\n");
  ASSERT_THAT(sweep.points, SizeIs(3));
  EXPECT_EQ(sweep.points[1].settings.at("strategy"), sweep.points[0].settings.at("strategy"));
  EXPECT_EQ(sweep.points[2].settings.at("model"), "small");
}

TEST_F(SweepTest, TheNameIsTheFilesUnlessStated) {
  EXPECT_EQ(load_sweep(write("my sweep.v2.yaml", evaluate_with("")), test_schemas(),
                       {.allow_missing = true})
                .name,
            "my sweep.v2");
  EXPECT_EQ(load("name: other\n" + evaluate_with("")).name, "other");
}

TEST_F(SweepTest, ALargeGridHasAllItsPoints) {
  std::string list = "0";
  for (int i = 1; i < 100; ++i) list += fmt::format(", {}", i);
  const Sweep sweep = load(evaluate_with(fmt::format(
      "      grid:\n        strategy: [For, [7-8-4-4]]\n        seed: [{0}]\n        cfg: [{0}]\n",
      list)));
  ASSERT_THAT(sweep.points, SizeIs(20'000));
  std::set<std::string> ids;
  for (const Point& point : sweep.points) ids.insert(point.id);
  EXPECT_EQ(ids.size(), 20'000U);
  EXPECT_EQ(sweep.points.back().settings.at("cfg"), 99.0);
}

TEST(Sweep, AFileThatIsNotThere) {
  EXPECT_THROW(load_sweep("no/such/sweep.yaml", test_schemas()), Error);
  EXPECT_THROW(load_sweep("/", test_schemas()), Error);
}

TEST_F(SweepTest, RandomWeightsNeedTheShapeAndNoFile) {
  const auto sweep_of = [](const std::string& model) {
    return "models:\n  m: {" + model + "}\nexperiments:\n  - evaluate: {model: m, strategy: For}\n";
  };
  const Sweep sweep = load_sweep(
      write("random.yaml", sweep_of("random_weights: 3, image_size: 32, patch_size: 4, channels: "
                                    "128, blocks: 2, layers: 1, classes: 0, noise_std: 0")),
      test_schemas());
  EXPECT_EQ(sweep.models.at("m").random_weights, 3);
  EXPECT_TRUE(sweep.models.at("m").checkpoint.empty());
  EXPECT_EQ(sweep.models.at("m").shape, (ModelShape{32, 4, 128, 2, 1, 0, 0}));
  // A file's name tells the rest, whether or not the file is there.
  EXPECT_THAT(errors(sweep_of("random_weights: 0, checkpoint: x_model_4_128_8_2_0.05.pth, "
                              "image_size: 32, classes: 10"),
                     /*allow_missing=*/false),
              ::testing::IsEmpty());
  EXPECT_THAT(errors(sweep_of("random_weights: 0, image_size: 32, patch_size: 4"),
                     /*allow_missing=*/false),
              ::testing::ElementsAre(::testing::HasSubstr("random weights need channels")));
}

}  // namespace
}  // namespace tarflow::sweep
