// A house for a test of its own: a folder with the programs, the schema and the sweeps.
#pragma once

#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "framework/core/experiment.h"
#include "framework/core/file.h"

namespace tarflow {

class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "tarflow_test_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline Field make_field(const std::string& name, FieldType type, Json default_value = nullptr) {
  Field field;
  field.name = name;
  field.type = type;
  field.default_value = std::move(default_value);
  return field;
}

// One experiment `measure` that is quick to state: value, num_images, lr (shared), data (a path).
inline ExperimentSchema measure_schema() {
  ExperimentSchema schema;
  schema.name = "measure";
  schema.ranks = true;
  schema.fields = {make_field("value", FieldType::kNumber),
                   make_field("num_images", FieldType::kInteger, 100),
                   make_field("lr", FieldType::kNumber, 0.0), make_field("data", FieldType::kPath)};
  schema.fields[0].required = true;
  schema.fields[1].minimum = 1;
  schema.fields[2].shared = true;
  schema.fields[3].identity = Identity::kContent;
  schema.columns = {{"result", ColumnType::kFloat64, "", "ten times value plus lr", false},
                    {"seconds", ColumnType::kFloat64, "s", "not a time, but it changes", true}};
  return schema;
}

// `look` needs a model and an image folder.
inline ExperimentSchema look_schema() {
  ExperimentSchema schema;
  schema.name = "look";
  schema.fields = {make_field("images", FieldType::kPath), make_field("model", FieldType::kModel),
                   make_field("num_images", FieldType::kInteger, 100),
                   make_field("statistics", FieldType::kPath)};
  schema.fields[0].required = schema.fields[1].required = true;
  schema.fields[0].identity = schema.fields[3].identity = Identity::kContent;
  schema.columns = measure_schema().columns;
  return schema;
}

}  // namespace tarflow
