// docs/records.md says what the programs write.
#include <gtest/gtest.h>

#include "framework/core/file.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace {

TEST(Document, IsWhatTheRecordTypesGive) {
  const std::filesystem::path schemas =
      std::filesystem::path(TARFLOW_BINARY_DIR) / "share" / "experiments.json";
  if (!std::filesystem::exists(schemas)) {
    GTEST_SKIP() << schemas.string() << " is made by a build with the worker";
  }
  const std::string expected = records_document(read_experiment_schemas(schemas));
  EXPECT_TRUE(read_file(std::filesystem::path(TARFLOW_SOURCE_DIR) / "docs" / "records.md") ==
              expected)
      << "docs/records.md is not what the record types give; write it again:\n"
         "build/bin/analyze describe-records --schemas build/share/experiments.json > "
         "docs/records.md";
}

// Samples of different experiments are the same images unless a sweep says otherwise.
TEST(Document, SelfDenoisingHasOneDefaultEverywhere) {
  const std::filesystem::path schemas =
      std::filesystem::path(TARFLOW_BINARY_DIR) / "share" / "experiments.json";
  if (!std::filesystem::exists(schemas)) {
    GTEST_SKIP() << schemas.string() << " is made by a build with the worker";
  }
  int experiments = 0;
  for (const ExperimentSchema& schema : read_experiment_schemas(schemas)) {
    for (const Field& field : schema.fields) {
      if (field.name != "self_denoising_lr") continue;
      ++experiments;
      EXPECT_EQ(field.default_value, Json(1.0)) << schema.name;
    }
  }
  EXPECT_GE(experiments, 4);  // evaluate, sample, trace, compare
}

}  // namespace
}  // namespace tarflow::record
