// The sweeps that come with the product.
#include <set>

#include "framework/core/file.h"
#include "framework/core/strategy.h"
#include "framework/sweep/strategy_parse.h"
#include "framework/sweep/use.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::SizeIs;

const std::filesystem::path kSweeps = TARFLOW_SOURCE_DIR "/sweeps";

struct Shipped {
  const char* name;
  size_t points;
  FlowSize flow;
  const char *segments, *iterations, *guesses;  // as the README of GS-Jacobi sampling has them
};
constexpr Shipped kPublished[] = {
    {"afhq", 11, {8, 1024}, "8,1,1,1,1,1,1,1", "32,10,10,10,10,10,10,10", "0,0,0,0,0,1,1,0"},
    {"img128cond", 11, {8, 1024}, "1,8,1,1,1,1,1,1", "10,32,10,10,10,10,10,10", "0,1,0,0,0,0,1,0"},
    {"img64uncond", 12, {8, 1024}, "1,8,1,1,1,1,1,8", "20,32,20,20,20,20,20,32", "0,1,0,0,1,0,1,1"},
    {"img64cond", 11, {8, 256}, "8,1,1,1,1,1,1,0", "13,6,6,6,6,6,6,1", "1,0,0,0,0,1,1,1"}};

TEST(ShippedSweeps, StateThePublishedStrategies) {
  for (const Shipped& shipped : kPublished) {
    const auto file = kSweeps / fmt::format("{}.yaml", shipped.name);
    Sources sources(read_yaml(file));
    Report report(sources);
    const NodePtr root = Expander(sources, {}, std::make_shared<Folders>(), report)
                             .expand(sources.at({}).document->root, 0);
    const Node& experiments = *root->find("experiments")->value;
    const Node& evaluate = *experiments.items.back()->find("evaluate")->value;
    const Node& strategies = *evaluate.find("grid")->value->find("strategy")->value;
    const Document lists =
        parse_yaml(fmt::format("{{num_GS_list: [{}], max_jacobi_list: [{}], guess_list: [{}]}}",
                               shipped.segments, shipped.iterations, shipped.guesses),
                   "lists");
    const auto expected = read_strategy(*lists.root, shipped.flow, report);
    const auto stated = read_strategy(*strategies.items.at(1), shipped.flow, report);
    EXPECT_THAT(report.errors, IsEmpty()) << shipped.name;
    EXPECT_EQ(stated, expected) << shipped.name;
    EXPECT_TRUE(read_strategy(*strategies.items.at(0), shipped.flow, report)->sequential());
  }
}

// Every preset strategy is legal for its model and is another one.
TEST(ShippedSweeps, NeighboursAreDistinctStrategiesOfTheirModels) {
  for (const Shipped& shipped : kPublished) {
    Sources sources(read_yaml(kSweeps / "presets/neighbours.yaml"));
    Report report(sources);
    const Node& list = *sources.at({}).document->root->find(shipped.name)->value;
    std::set<std::string> names, blocks;
    for (const NodePtr& node : list.items) {
      const auto strategy = read_strategy(*node, shipped.flow, report);
      ASSERT_TRUE(strategy) << report.errors.at(0).str();
      names.insert(strategy->name);
      blocks.insert(describe(*strategy));
    }
    EXPECT_THAT(names, SizeIs(list.items.size())) << shipped.name;
    EXPECT_THAT(blocks, SizeIs(list.items.size())) << shipped.name;
  }
}

TEST(ShippedSweeps, TheirReadmeNamesEachExperimentAndWhatItRequires) {
  const std::string readme = read_file(kSweeps / "README.md");
  for (const ExperimentSchema& schema :
       read_experiment_schemas(TARFLOW_SOURCE_DIR "/tests/fuzz/experiments.json")) {
    const size_t begin = readme.find("| `" + schema.name + "`");
    ASSERT_NE(begin, std::string::npos) << schema.name;
    const std::string row = readme.substr(begin, readme.find('\n', begin) - begin);
    for (const auto& field : schema.fields) {
      if (!field.required) continue;
      EXPECT_THAT(row, HasSubstr("`" + field.name + "`")) << schema.name;
    }
  }
}

TEST(ShippedSweeps, EditorsFindTheSchemaFromEveryFile) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kSweeps)) {
    const bool profile = entry.path().parent_path().filename() == "clusters";  // no sweep
    if (entry.path().extension() != ".yaml" || profile) continue;
    std::ifstream in(entry.path());
    std::string line;
    std::getline(in, line);
    const std::string head = "# yaml-language-server: $schema=";
    ASSERT_TRUE(line.starts_with(head)) << entry.path();
    EXPECT_TRUE(std::filesystem::exists(entry.path().parent_path() / line.substr(head.size())))
        << entry.path();
  }
}

// Against what the experiments accept, which a build with the worker writes.
class ShippedSweepsLoad : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path file = TARFLOW_BINARY_DIR "/share/experiments.json";
    if (!std::filesystem::exists(file))
      GTEST_SKIP() << "no share/experiments.json: run_job is not built here";
    schemas_ = read_experiment_schemas(file);
  }
  ExperimentSchemas schemas_;
};

TEST_F(ShippedSweepsLoad, TheDemoWithAllItsFiles) {
  const Sweep sweep = load_sweep(kSweeps / "demo.yaml", schemas_);
  EXPECT_THAT(sweep.points, SizeIs(1 + 5 * 2 * 2));
  EXPECT_THAT(sweep.warnings, IsEmpty());
  EXPECT_EQ(sweep.models.at("cifar10_demo").shape, (ModelShape{32, 4, 128, 8, 2, 10, 0.05}));
}

// Three seeds of everything, all strategies on the same noise, enough chunks for a jackknife.
TEST_F(ShippedSweepsLoad, Cifar10WithoutItsFiles) {
  const Sweep sweep = load_sweep(kSweeps / "cifar10.yaml", schemas_, {.allow_missing = true});
  EXPECT_THAT(sweep.points, SizeIs(1 + 3 * 3 * 4 * 2));
  EXPECT_THAT(sweep.warnings, IsEmpty());
  for (const Point& point : sweep.points) {
    if (point.experiment != "evaluate") continue;
    EXPECT_GE(point.settings.at("num_images").get<int64_t>(),
              10 * point.settings.at("chunk").get<int64_t>());
  }
}

TEST_F(ShippedSweepsLoad, TheRivalsOnThreeModels) {
  const auto strategies = [](const Sweep& sweep) {
    std::vector<std::string> names;
    for (const Point& point : sweep.points)
      names.push_back(strategy_from_json(point.settings.at("strategy")).name);
    return names;
  };
  const Sweep demo = load_sweep(kSweeps / "rivals.yaml", schemas_);
  EXPECT_THAT(strategies(demo), ElementsAre("For", "[7-8-4-4]", "[7-8-16-10]", "SeJD", "STARFlow",
                                            "STARFlow-16", "SeJD by image"));
  EXPECT_THAT(demo.warnings, IsEmpty());
  for (const auto& [file, tokens] :
       {std::pair("rivals_cifar10.yaml", 256), std::pair("rivals_imagenette64.yaml", 1024)}) {
    const Sweep sweep = load_sweep(kSweeps / file, schemas_, {.allow_missing = true});
    EXPECT_THAT(strategies(sweep), IsSupersetOf({"For", "SeJD", "STARFlow", "STARFlow-16"}));
    EXPECT_THAT(sweep.warnings, IsEmpty()) << file;
    for (const auto& [name, model] : sweep.models) EXPECT_EQ(model.shape.tokens(), tokens);
  }
}

TEST_F(ShippedSweepsLoad, TheCurvesWithAllTheirFiles) {
  const Sweep sweep = load_sweep(kSweeps / "curves.yaml", schemas_);
  EXPECT_THAT(sweep.points, SizeIs(2 + 3 + 3));
  EXPECT_THAT(sweep.warnings, IsEmpty());
}

TEST_F(ShippedSweepsLoad, ThePublishedModelsWithoutTheirFiles) {
  for (const Shipped& shipped : kPublished) {
    const Sweep sweep = load_sweep(kSweeps / fmt::format("{}.yaml", shipped.name), schemas_,
                                   {.allow_missing = true});
    EXPECT_THAT(sweep.points, SizeIs(shipped.points));
    EXPECT_THAT(sweep.warnings, IsEmpty());
    const Model& model = sweep.models.at(shipped.name);
    EXPECT_EQ(model.shape.tokens(), shipped.flow.tokens);
    if (model.present) continue;
    EXPECT_THAT(sweep.missing,
                Contains(AllOf(
                    Field(&Problem::what, HasSubstr(model.checkpoint.filename())),
                    Field(&Problem::repair, HasSubstr("published by encoreus on Hugging Face")))));
  }
}

// The settings and strategies of the four rows are those of the sweeps of one row each.
TEST_F(ShippedSweepsLoad, ThePaperHasAllFourRows) {
  const Sweep paper = load_sweep(kSweeps / "paper.yaml", schemas_, {.allow_missing = true});
  EXPECT_THAT(paper.warnings, IsEmpty());
  EXPECT_THAT(paper.points, SizeIs(4 + 4 * 2 + 1));
  for (const Shipped& shipped : kPublished) {
    const Sweep own = load_sweep(kSweeps / fmt::format("{}.yaml", shipped.name), schemas_,
                                 {.allow_missing = true});
    size_t found = 0;
    for (const Point& point : paper.points) {
      if (point.settings.find("model") == nullptr || point.settings.at("model") != shipped.name)
        continue;
      ++found;
      Settings settings = point.settings;
      if (point.experiment == "evaluate") {
        EXPECT_EQ(settings.at("chunk"), 128);
        settings.set("chunk", 64);
      }
      const auto same = [&](const Point& other) {
        return other.experiment == point.experiment && other.settings == settings;
      };
      EXPECT_TRUE(std::any_of(own.points.begin(), own.points.end(), same))
          << shipped.name << " " << settings.json();
    }
    EXPECT_EQ(found, 3u) << shipped.name;
  }
}

TEST_F(ShippedSweepsLoad, TheModelWithoutFiguresWithoutItsFile) {
  const Sweep sweep = load_sweep(kSweeps / "img64cond_p2.yaml", schemas_, {.allow_missing = true});
  EXPECT_THAT(sweep.points, SizeIs(1 + 2));
  EXPECT_THAT(sweep.warnings, IsEmpty());
  EXPECT_EQ(sweep.models.at("img64cond_p2").shape, (ModelShape{64, 2, 768, 8, 8, 1000, 0.05}));
}

// The shapes are those of files that need not be there.
TEST_F(ShippedSweepsLoad, TheBenchmarkNeedsNoFiles) {
  const Sweep sweep = load_sweep(kSweeps / "benchmark_published_shapes.yaml", schemas_);
  EXPECT_THAT(sweep.points, SizeIs(4 * 2 + 1));
  EXPECT_THAT(sweep.warnings, IsEmpty());
  for (const Shipped& shipped : kPublished) {
    const Model& model = sweep.models.at(shipped.name);
    EXPECT_EQ(model.shape.tokens(), shipped.flow.tokens);
    EXPECT_EQ(model.random_weights, 0);
  }
}

}  // namespace
}  // namespace tarflow::sweep
