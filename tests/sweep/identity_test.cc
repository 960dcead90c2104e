// Points that differ in nothing but a file, and labels against the model they are for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/sweep/identity.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// An experiment with files that points of a job may differ in, one they may not, and labels.
ExperimentSchemas schemas_with_files() {
  ExperimentSchema schema;
  schema.name = "evaluate";
  Field extractor = make_field("extractor", FieldType::kPath),
        noise = make_field("noise", FieldType::kPath);
  extractor.identity = noise.identity = Identity::kContent;
  extractor.shared = true;
  schema.fields = {required(make_field("model", FieldType::kModel)), extractor, noise,
                   in_range(make_field("labels", FieldType::kIntegerList), 0, {}),
                   with_default(make_field("seed", FieldType::kInteger), 0)};
  return {schema};
}

class Identities : public SweepTest {
 protected:
  Identities() {
    for (const char* name : {"a.pt", "b.pt", "other/a.pt"}) write(name, "features");
  }

  Sweep load(const std::string& settings) const {
    return load_sweep(write("test.yaml",
                            "models:\n"
                            "  m: {checkpoint: x_model_4_128_8_2_0.05.pth, image_size: 32, "
                            "classes: 3}\n"
                            "  u: {checkpoint: y_model_4_128_8_2_0.05.pth, image_size: 32, "
                            "classes: 0}\n"
                            "experiments:\n" +
                                settings),
                      schemas_with_files(), {.allow_missing = true});
  }

  std::string error_of(const std::string& settings) const {
    try {
      load(settings);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(Identities, SharedFilesTellPointsApartByTheirNames) {
  const Sweep sweep = load("  - evaluate: {model: m, grid: {extractor: [a.pt, b.pt]}}\n");
  ASSERT_THAT(sweep.points, SizeIs(2));
  EXPECT_NE(sweep.points[0].id, sweep.points[1].id);
  const Sweep moved = load("  - evaluate: {model: m, extractor: other/a.pt}\n");
  EXPECT_EQ(moved.points.at(0).id, sweep.points[0].id) << "where it lies changes nothing";
  const ExperimentSchema schema = schemas_with_files()[0];
  EXPECT_EQ(point_id(schema, sweep.points[1].settings), sweep.points[1].id);
}

TEST_F(Identities, PointsThatNothingTellsApartAreRefused) {
  EXPECT_THAT(error_of("  - evaluate: {model: m, grid: {extractor: [a.pt, other/a.pt]}}\n"),
              HasSubstr("give one of the files another name"));
  EXPECT_THAT(error_of("  - evaluate: {model: m, grid: {noise: [a.pt, b.pt]}}\n"),
              HasSubstr("put it into a sweep of its own"));
  EXPECT_THAT(error_of("  - evaluate: {model: m, noise: a.pt}\n  - evaluate: {model: m}\n"),
              HasSubstr("nothing but"));
  EXPECT_THAT(
      load("  - evaluate: {model: m, noise: a.pt}\n  - evaluate: {model: m, noise: a.pt}\n").points,
      SizeIs(1))
      << "the same point twice is run once";
}

TEST_F(Identities, LabelsAreClassesOfTheModel) {
  const Sweep sweep = load("  - evaluate: {model: m, grid: {labels: [[0, 2], [1]]}}\n");
  ASSERT_THAT(sweep.points, SizeIs(2));
  EXPECT_EQ(sweep.points[0].settings.at("labels"), Json({0, 2}));
  EXPECT_NE(sweep.points[0].id, sweep.points[1].id);
  const std::string text = error_of("  - evaluate:\n      model: m\n      labels: [0, 3]\n");
  EXPECT_THAT(text, HasSubstr("`labels`: 3 is not a class of the model m, which has 3"));
  EXPECT_THAT(text, HasSubstr("classes are 0 to 2"));
  EXPECT_THAT(text, HasSubstr("test.yaml:7:15")) << "at the place of the labels";
  EXPECT_THAT(error_of("  - evaluate: {model: u, labels: [0]}\n"), HasSubstr("unconditional"));
  EXPECT_THAT(error_of("  - evaluate: {model: m, labels: [-1]}\n"), HasSubstr("-1"));
}

}  // namespace
}  // namespace tarflow::sweep
