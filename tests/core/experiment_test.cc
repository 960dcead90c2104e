#include "framework/core/experiment.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "framework/core/error.h"

namespace tarflow {
namespace {

// A schema in which nothing has its default value.
ExperimentSchemas example() {
  Field cfg;
  cfg.name = "cfg";
  cfg.type = FieldType::kNumber;
  cfg.description = "guidance";
  cfg.unit = "s";
  cfg.required = true;
  cfg.default_value = 1.5;
  cfg.minimum = 0;
  cfg.maximum = 10.25;
  cfg.example = {1, 2};
  cfg.identity = Identity::kNone;
  cfg.shared = true;
  Field norm;
  norm.name = "norm";
  norm.type = FieldType::kChoice;
  norm.choices = {"2", "fro"};
  norm.identity = Identity::kContent;
  ExperimentSchema schema;
  schema.name = "evaluate";
  schema.description = "samples";
  schema.revision = 7;
  schema.timed = true;
  schema.fields = {cfg, norm};
  schema.columns = {{"time", ColumnType::kInt64, "s", "how long", true},
                    {"name", ColumnType::kString, "", "", false}};
  return {schema};
}

TEST(ExperimentSchemas, RoundTripThroughJson) {
  const Json json = to_json(example());
  const ExperimentSchemas back = experiment_schemas_from_json(json);
  EXPECT_EQ(to_json(back), json);
  ASSERT_EQ(back.size(), 1U);
  const ExperimentSchema& schema = back[0];
  EXPECT_EQ(schema.name, "evaluate");
  EXPECT_EQ(schema.revision, 7);
  EXPECT_TRUE(schema.timed);
  EXPECT_EQ(schema.columns, example()[0].columns);
  const Field* cfg = schema.field("cfg");
  ASSERT_NE(cfg, nullptr);
  EXPECT_EQ(cfg->type, FieldType::kNumber);
  EXPECT_EQ(cfg->unit, "s");
  EXPECT_TRUE(cfg->required && cfg->shared);
  EXPECT_EQ(cfg->default_value, 1.5);
  EXPECT_EQ(cfg->minimum, 0);
  EXPECT_EQ(cfg->maximum, 10.25);
  EXPECT_EQ(cfg->identity, Identity::kNone);
  const Field* norm = schema.field("norm");
  ASSERT_NE(norm, nullptr);
  EXPECT_EQ(norm->choices, (std::vector<std::string>{"2", "fro"}));
  EXPECT_FALSE(norm->minimum || norm->maximum);
  EXPECT_EQ(schema.field("absent"), nullptr);
}

TEST(ExperimentSchemas, EveryTypeHasAName) {
  Json json = to_json(example());
  for (const FieldType type :
       {FieldType::kBoolean, FieldType::kInteger, FieldType::kNumber, FieldType::kString,
        FieldType::kChoice, FieldType::kPath, FieldType::kModel, FieldType::kStrategy,
        FieldType::kIntegerList, FieldType::kNumberList}) {
    json["experiments"][0]["fields"][0]["type"] = to_string(type);
    EXPECT_EQ(experiment_schemas_from_json(json)[0].fields[0].type, type);
  }
}

TEST(ExperimentSchemas, AreReadFromAFile) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("tarflow_schema_" + std::to_string(::getpid()) + ".json");
  write_json_file(path, to_json(example()));
  EXPECT_EQ(to_json(read_experiment_schemas(path)), to_json(example()));
  std::filesystem::remove(path);
  EXPECT_THROW(read_experiment_schemas(path), Error);
}

TEST(ExperimentSchemas, DamagedOnesAreErrors) {
  Json unknown_word = to_json(example());
  unknown_word["experiments"][0]["fields"][0]["type"] = "colour";
  EXPECT_THROW(experiment_schemas_from_json(unknown_word), Error);
  Json lacking = to_json(example());
  lacking["experiments"][0].erase("revision");
  EXPECT_THROW(experiment_schemas_from_json(lacking), Error);
  EXPECT_THROW(experiment_schemas_from_json(Json::array()), Error);
}

}  // namespace
}  // namespace tarflow
