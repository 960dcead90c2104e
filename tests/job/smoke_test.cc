#include "framework/job/smoke.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/core/error.h"
#include "framework/core/strategy.h"
#include "tests/support/house.h"

namespace tarflow::job {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const ModelShape kTiny{8, 4, 64, 2, 1, 0, 0.1};

struct Bench {
  Bench() {
    sweep.name = "demo";
    sweep::Model model;
    model.name = "tiny";
    model.checkpoint = folder / "absent/tiny_model_4_64_2_1_0.1.pth";
    model.shape = kTiny;
    sweep.models["tiny"] = model;
  }

  void add(const Json& settings, const std::string& experiment = "look") {
    sweep.points.push_back(
        {experiment, sweep::Settings(settings), fmt::format("p{}", sweep.points.size()), {}});
  }

  Smoke smoke(StandIn stand_in = StandIn::kFull) {
    return make_smoke(sweep, schemas, folder / "out", stand_in);
  }

  Scratch folder;
  ExperimentSchemas schemas{look_schema(), measure_schema()};
  sweep::Sweep sweep;
};

TEST(Smoke, ReplacesWhatIsAbsentAndSaysSo) {
  Bench bench;
  const std::string images = (bench.folder / "absent/images").string();
  bench.add({{"images", images}, {"model", "tiny"}, {"num_images", 100}, {"statistics", images}});
  const Smoke smoke = bench.smoke();
  EXPECT_EQ(smoke.sweep.name, "demo-smoke");
  const sweep::Model& model = smoke.sweep.models.at("tiny");
  EXPECT_TRUE(model.present);
  EXPECT_EQ(checkpoint::open_tarflow(model.checkpoint).shape, kTiny);
  ASSERT_THAT(smoke.sweep.points, SizeIs(1));
  const sweep::Point& point = smoke.sweep.points[0];
  EXPECT_EQ(point.settings.at("num_images"), 2);
  EXPECT_FALSE(point.settings.contains("statistics"));
  EXPECT_EQ(point.id, sweep::point_id(bench.schemas[0], point.settings));
  const fs::path pictures = point.settings.at("images").get<std::string>();
  EXPECT_GE(std::distance(fs::directory_iterator(pictures), {}), 2);
  EXPECT_TRUE(read_file(fs::directory_iterator(pictures)->path()).starts_with("\x89PNG"));
  EXPECT_EQ(smoke.replaced.at("untrained"), Json::array({"tiny"}));
  EXPECT_EQ(smoke.replaced.at("pictures"), Json::array({"look.images"}));
  EXPECT_EQ(smoke.replaced.at("dropped"), Json::array({"look.statistics"}));
  EXPECT_THAT(smoke.messages, ::testing::Contains(HasSubstr("UNTRAINED")));
  EXPECT_THAT(smoke.messages, SizeIs(3));
}

TEST(Smoke, AnUntrainedCheckpointIsUsedAgainUnlessItsShapeIsAnother) {
  Bench bench;
  bench.add({{"images", bench.folder.path().string()}, {"model", "tiny"}, {"num_images", 100}});
  const fs::path checkpoint = bench.smoke().sweep.models.at("tiny").checkpoint;
  fs::last_write_time(checkpoint, fs::file_time_type{});
  bench.smoke();
  EXPECT_EQ(fs::last_write_time(checkpoint), fs::file_time_type{});
  bench.sweep.models["tiny"].shape.classes = 10;  // the file's name does not tell it
  bench.smoke();
  EXPECT_EQ(checkpoint::open_tarflow(checkpoint).shape.classes, 10);
}

TEST(Smoke, ASmallStandInHasTheTokensAndBlocksOfTheModel) {
  Bench bench;
  bench.sweep.models["tiny"].shape = {8, 4, 128, 2, 3, 10, 0.1};
  bench.add({{"images", bench.folder.path().string()}, {"model", "tiny"}, {"num_images", 100}});
  const Smoke smoke = bench.smoke(StandIn::kSmall);
  const sweep::Model& model = smoke.sweep.models.at("tiny");
  const ModelShape small{8, 4, kHeadWidth, 2, 1, 10, 0.1};
  EXPECT_EQ(model.shape, small);
  ModelShape found = checkpoint::open_tarflow(model.checkpoint).shape;
  found.noise_std = small.noise_std;
  EXPECT_EQ(found, small);
  EXPECT_EQ(smoke.replaced.at("small"), Json::array({"tiny"}));
  EXPECT_THAT(smoke.messages, ::testing::Contains(HasSubstr("UNTRAINED small checkpoint")));
  EXPECT_EQ(bench.smoke().replaced.at("small"), Json::array());
}

TEST(Smoke, WhatIsThereStays) {
  Bench bench;
  bench.sweep.models["tiny"].present = true;
  bench.add({{"images", bench.folder.path().string()}, {"model", "tiny"}, {"num_images", 1}});
  const Smoke smoke = bench.smoke();
  EXPECT_EQ(smoke.sweep.points[0].settings, bench.sweep.points[0].settings);
  EXPECT_EQ(smoke.sweep.models.at("tiny").checkpoint, bench.sweep.models.at("tiny").checkpoint);
  EXPECT_THAT(smoke.messages, SizeIs(0));
}

TEST(Smoke, PointsThatBecomeEqualRunOnce) {
  Bench bench;
  for (const int64_t images : {1, 10, 100, 1000})
    bench.add({{"value", 1.0}, {"num_images", images}}, "measure");
  EXPECT_THAT(bench.smoke().sweep.points, SizeIs(2));
}

TEST(Smoke, AnExtractorGoesWithItsReference) {
  Bench bench;
  bench.schemas[0].fields.push_back(make_field("extractor", FieldType::kPath));
  bench.schemas[0].fields[3].file = FileKind::kReference;
  bench.schemas[0].fields[4].file = FileKind::kExtractor;
  const std::string present = bench.folder.path().string();
  bench.add({{"images", present},
             {"model", "tiny"},
             {"num_images", 1},
             {"extractor", present},
             {"statistics", "/absent/statistics.h5"}});
  bench.add({{"images", present},
             {"model", "tiny"},
             {"num_images", 2},
             {"extractor", present},
             {"statistics", present}});
  const Smoke smoke = bench.smoke();
  ASSERT_THAT(smoke.sweep.points, SizeIs(2));
  EXPECT_FALSE(smoke.sweep.points[0].settings.contains("extractor"));
  EXPECT_TRUE(smoke.sweep.points[1].settings.contains("extractor"));
}

TEST(Smoke, PointsThatCannotRunAreLeftOutAndNamed) {
  Bench bench;
  bench.schemas[1].fields[3].required = true;
  bench.add({{"value", 1.0}, {"num_images", 1}, {"data", "/absent/noise.h5"}}, "measure");
  bench.add({{"value", 2.0}, {"num_images", 1}, {"data", "/absent/noise.h5"}}, "measure");
  bench.add({{"value", 1.0}, {"num_images", 1}, {"data", bench.folder.path().string()}}, "measure");
  const Smoke smoke = bench.smoke();
  ASSERT_THAT(smoke.sweep.points, SizeIs(1));
  EXPECT_EQ(smoke.sweep.points[0].settings.at("data"), bench.folder.path().string());
  EXPECT_THAT(smoke.messages, ::testing::ElementsAre(::testing::AllOf(HasSubstr("/absent/noise.h5"),
                                                                      HasSubstr("left out"))));
}

TEST(Smoke, WhatChoosesGuessesIsMadeUpAndNotDropped) {
  Bench bench;
  Field folder = bench.schemas[0].fields[0], count = folder;
  folder.name = kGuessImages;
  folder.type = FieldType::kPath;
  folder.file = FileKind::kImages;
  folder.identity = Identity::kContent;
  folder.required = false;
  count.name = kGuessNumImages;
  count.type = FieldType::kInteger;
  count.file = FileKind::kAny;
  count.minimum = 0;
  bench.schemas[0].fields.push_back(folder);
  bench.schemas[0].fields.push_back(count);
  const std::string absent = (bench.folder / "absent/images").string();
  for (const int64_t images : {int64_t{0}, int64_t{1000}}) {  // 0: all there are
    bench.add({{"images", bench.folder.path().string()},
               {"model", "tiny"},
               {"num_images", 100},
               {kGuessImages, absent},
               {kGuessNumImages, images}});
  }
  const Smoke smoke = bench.smoke();
  ASSERT_THAT(smoke.sweep.points, SizeIs(1));
  const sweep::Point& point = smoke.sweep.points[0];
  EXPECT_TRUE(fs::is_directory(point.settings.at(kGuessImages).get<std::string>()));
  EXPECT_EQ(point.settings.at(kGuessNumImages), 2);
  EXPECT_EQ(smoke.replaced.at("pictures"), Json::array({"look.guess_images"}));
}

TEST(Smoke, MadeUpPicturesHaveNoLabels) {
  Bench bench;
  bench.add({{"images", (bench.folder / "absent/images").string()},
             {"model", "tiny"},
             {"num_images", 100},
             {"labels", "folder"},
             {"layout", "classes"}});
  const sweep::Settings settings = bench.smoke().sweep.points[0].settings;
  EXPECT_EQ(settings.at("labels"), "none");
  EXPECT_FALSE(settings.contains("layout"));
}

TEST(Smoke, ARequiredFileThatCannotBeMadeUpIsNamed) {
  Bench bench;
  bench.schemas[1].fields[3].required = true;
  bench.add({{"value", 1.0}, {"num_images", 1}, {"data", "/absent/noise.h5"}}, "measure");
  try {
    bench.smoke();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/absent/noise.h5"));
  }
}

TEST(Smoke, WhatOnlyLeavesOutIsNotTold) {
  Bench bench;
  bench.add({{"value", 1.0}, {"num_images", 2}, {"data", "/absent/noise.h5"}}, "measure");
  bench.add({{"images", "/absent/images"}, {"model", "tiny"}, {"num_images", 2}});
  EXPECT_THAT(bench.smoke().messages, SizeIs(3));
  bench.sweep.points[1].selected = false;
  const Smoke smoke = bench.smoke();
  EXPECT_THAT(smoke.messages, ::testing::ElementsAre(HasSubstr("/absent/noise.h5")));
  EXPECT_THAT(smoke.sweep.points, SizeIs(2)) << "it stays a point of the sweep";
}

}  // namespace
}  // namespace tarflow::job
