#include "analysis/data/published.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "framework/core/error.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

// Those of the README; the model page lists one more.
std::vector<PublishedModel> models_with_figures() {
  std::vector<PublishedModel> models = testing::published_figures().models;
  std::erase_if(models, [](const PublishedModel& model) { return !model.has_figures; });
  return models;
}

TEST(Published, HoldsTheFourModels) {
  const std::vector<PublishedModel> models = models_with_figures();
  ASSERT_EQ(models.size(), 4u);
  for (const PublishedModel& model : models) {
    double sum = 0;
    for (const double percent : model.crm_percent) sum += percent;
    EXPECT_NEAR(sum, 100, 0.06) << model.name;  // percentages with two decimals
    EXPECT_EQ(model.strategy.blocks.size(), 8u) << model.name;
    EXPECT_GT(model.for_time, model.strategy_time) << model.name;
  }
}

TEST(Published, KnowsTheModelThatHasNoFigures) {
  const Published published = testing::published_figures();
  const PublishedModel* model = find_model(published, "imagenet_model_2_768_8_8_0.05.pth");
  ASSERT_NE(model, nullptr);
  EXPECT_FALSE(model->has_figures);
  EXPECT_EQ(model->statistics, "imagenet_64_fid_stats.pth");
  EXPECT_EQ(model->shape.tokens(), 1024);
  EXPECT_EQ(find_figures(published, model->checkpoint), nullptr);
  EXPECT_EQ(find_figures(published, model->shape), nullptr);
  EXPECT_EQ(find_model(published, "imagenet64_model_2_768_8_8_0.05.pth")->statistics,
            "imagenet64_64_fid_stats.pth");
}

TEST(Published, CopiesAndOtherFormatsAreTheSameModel) {
  const Published published = testing::published_figures();
  for (const char* name :
       {"models/afhq_model_8_768_8_8_0.07 (1).pth", "afhq_model_8_768_8_8_0.07.safetensors"}) {
    const PublishedModel* model = find_figures(published, name);
    ASSERT_NE(model, nullptr) << name;
    EXPECT_EQ(model->name, "AFHQ");
  }
}

TEST(Published, StrategiesSayWhatTheirNamesSay) {
  const Published published = testing::published_figures();
  const PublishedModel* afhq = find_model(published, "/models/afhq_model_8_768_8_8_0.07.pth");
  ASSERT_NE(afhq, nullptr);
  EXPECT_EQ(afhq->name, "AFHQ");
  EXPECT_EQ(afhq->strategy.block(7), published_plan(8, 32));
  EXPECT_EQ(*guess_of(afhq->strategy.block(2)), Guess::kZero);  // index 5 of the list
  EXPECT_EQ(afhq->strategy.block(0), published_plan(1, 10));

  const PublishedModel* img64 = find_model(published, "imagenet_model_4_1024_8_8_0.05.pth");
  ASSERT_NE(img64, nullptr);
  EXPECT_TRUE(img64->strategy.block(0).sequential());  // 256 segments of 256 tokens
  EXPECT_EQ(img64->strategy.block(7), published_plan(8, 13, Guess::kZero));
  EXPECT_EQ(find_model(published, "cifar10_demo.pth"), nullptr);
}

// The README they come from, where it is at hand.
TEST(Published, FiguresAreThoseOfTheReadme) {
  const auto readme =
      std::filesystem::path(TARFLOW_SOURCE_DIR) / "../shared/seeds/gs_jacobi_readme.txt";
  std::ifstream in(readme);
  if (!in) GTEST_SKIP() << "no " << readme;
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto has = [&](const std::string& piece) {
    EXPECT_NE(text.find(piece), std::string::npos) << piece;
  };
  const auto list = [](const Strategy& strategy, const auto& value) {
    const Json json = to_json(strategy);
    std::string joined = "[";
    for (const Json& block : json.at("blocks"))
      joined += fmt::format("{}{}", joined.size() > 1 ? "," : "", value(block));
    return joined + "]";
  };
  const auto number = [](double value) { return fmt::format("{:.2f}", value); };
  for (const PublishedModel& model : models_with_figures()) {
    has(model.checkpoint);
    has(fmt::format("|{}|", model.strategy.name));
    for (const double value : {model.for_time, model.strategy_time, model.for_distance,
                               model.strategy_distance, model.rate}) {
      has(fmt::format("|{}", number(value)));
    }
    for (size_t block = 0; block < 8; ++block) {
      const bool bold = std::count(model.dominant.begin(), model.dominant.end(), block) > 0;
      const std::string value = number(model.crm_percent[block]);
      has(value);
      EXPECT_EQ(text.find(fmt::format("**{}**", value)) != std::string::npos, bold) << value;
    }
    has("--num_GS_list=" +
        list(model.strategy, [](const Json& block) { return block["segments"].get<int>(); }));
  }
}

TEST(Published, FaultsAreLocated) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "published_bad.yaml";
  std::ofstream(file) << "source: {title: t}\nspeed_up: [1, 2\n";
  try {
    read_published(file);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("published_bad.yaml:"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(read_published("no such file.yaml"), Error);
}

}  // namespace
}  // namespace tarflow::analysis
