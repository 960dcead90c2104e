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

}  // namespace
}  // namespace tarflow::record
