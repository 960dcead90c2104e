#include "framework/job/why.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/file.h"
#include "framework/sweep/identity.h"
#include "tests/job/models.h"
#include "tests/support/house.h"

namespace tarflow::job {
namespace {

using ::testing::ElementsAre;

// A timed experiment with a model, a file that joins the identity, and two settings.
struct Bench {
  Bench() {
    ExperimentSchema schema;
    schema.name = "evaluate";
    schema.timed = true;
    schema.fields = {make_field("cfg", FieldType::kNumber), make_field("model", FieldType::kModel),
                     make_field("num_images", FieldType::kInteger),
                     make_field("reference", FieldType::kPath)};
    schema.fields[3].identity = Identity::kContent;
    schemas = {schema};
    write_file(folder / "model.pth", "weights");
    write_file(folder / "reference", "images");
    sweep.name = "demo";
    sweep.models["small"] = present_model("small", folder / "model.pth");
  }

  sweep::Sweep sweep_of(const std::vector<Json>& points) {
    sweep::Sweep stated = sweep;
    for (const Json& own : points) {
      Json settings = {{"model", "small"},
                       {"cfg", 0.0},
                       {"num_images", int64_t{64}},
                       {"reference", (folder / "reference").string()}};
      settings.update(own);
      sweep::Point point;
      point.experiment = "evaluate";
      point.settings = sweep::Settings(settings);
      point.id = sweep::point_id(schemas[0], point.settings);
      stated.points.push_back(point);
    }
    return stated;
  }

  Plan plan(const std::vector<Json>& points, const std::string& device = "one") {
    PlanOptions options;
    options.results = folder / "results";
    options.devices = DeviceModels(device);
    JobStore index(options.results / "demo");
    return make_plan(sweep_of(points), schemas, options, index, [](const std::string&) {});
  }

  // As if these points had been computed, or begun, before.
  void leave(const std::vector<Json>& points, const std::string& device = "one") {
    for (const Job& job : plan(points, device).all) {
      write_json_file(folder / ("results/demo/jobs/" + job.hash + "/job.json"), to_json(job));
    }
  }

  std::vector<std::string> whys(const std::vector<Json>& points,
                                const std::string& device = "one") {
    const Plan made = plan(points, device);
    WhyRun why(made, schemas, false);
    std::vector<std::string> texts;
    for (const Job& job : made.pending) texts.push_back(why_text(why.of(job)));
    return texts;
  }

  Scratch folder;
  ExperimentSchemas schemas;
  sweep::Sweep sweep;
};

const Json kPlain = Json::object();

TEST(WhyRun, ANearestEarlierPointTellsTheSetting) {
  Bench bench;
  EXPECT_THAT(bench.whys({kPlain}), ElementsAre("new"));
  bench.leave({kPlain});
  EXPECT_THAT(bench.whys({{{"num_images", 128}}}), ElementsAre("num_images was 64"));
  EXPECT_THAT(bench.whys({{{"cfg", 1.0}}}), ElementsAre("cfg was 0"));
  EXPECT_THAT(bench.whys({{{"cfg", 1.0}, {"num_images", 128}}}),
              ElementsAre("cfg was 0, num_images was 64"));
  bench.leave({{{"cfg", 2.0}, {"num_images", 128}}});
  EXPECT_THAT(bench.whys({{{"cfg", 1.0}, {"num_images", 128}}}), ElementsAre("cfg was 2"))
      << "the nearest one";
}

TEST(WhyRun, APointThatTheSweepStillHasIsNotTakenForAnother) {
  Bench bench;
  bench.leave({kPlain});
  EXPECT_THAT(bench.whys({kPlain, {{"cfg", 1.0}}})[1], "new");
}

TEST(WhyRun, ContentsThatChangedAreNamed) {
  Bench bench;
  bench.leave({kPlain});
  write_file(bench.folder / "model.pth", "other weights");
  EXPECT_THAT(bench.whys({kPlain}), ElementsAre("checkpoint changed"));
  write_file(bench.folder / "reference", "other images");
  EXPECT_THAT(bench.whys({kPlain}), ElementsAre("checkpoint and reference changed"));
}

TEST(WhyRun, AnotherDeviceIsNamed) {
  Bench bench;
  bench.leave({kPlain});
  EXPECT_THAT(bench.whys({kPlain}, "two"),
              ElementsAre("planned for another model of device before"));
}

TEST(WhyRun, ANewRevisionIsNamed) {
  Bench bench;
  bench.leave({kPlain});
  bench.schemas[0].revision = 2;
  EXPECT_THAT(bench.whys({kPlain}), ElementsAre("the experiment evaluate has a new revision"));
}

TEST(WhyRun, ASettingThatWasNotThereIsNamed) {
  Bench bench;
  bench.leave({kPlain});
  bench.schemas[0].fields.insert(bench.schemas[0].fields.begin(),
                                 make_field("attn_temp", FieldType::kNumber));
  EXPECT_THAT(bench.whys({{{"attn_temp", 0.5}}}), ElementsAre("attn_temp was not set"));
}

TEST(WhyRun, FoldersThatTellNothingAreHarmless) {
  Bench bench;
  bench.leave({kPlain});
  write_file(bench.folder / "results/demo/jobs/half/job.json", "{");
  write_file(bench.folder / "results/demo/jobs/other/job.json", R"({"experiment": "gone"})");
  write_file(bench.folder / "results/demo/jobs/strange/job.json",
             R"({"experiment": "evaluate", "settings": {"cfg": {"not": [1]}}, "points": [{}]})");
  EXPECT_THAT(bench.whys({{{"cfg", 1.0}}}), ElementsAre("cfg was 0"));
}

TEST(WhyRun, ReasonsAreCountedInWords) {
  EXPECT_EQ(why_text({{"new", "new", 3}}), "new");
  EXPECT_EQ(why_text({{"new", "new", 2}, {"setting", "cfg was 0", 1}}),
            "new (2 points), cfg was 0 (1 point)");
}

}  // namespace
}  // namespace tarflow::job
