#include "framework/core/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "framework/core/error.h"

namespace tarflow {
namespace {

template <typename Enum, size_t N>
using Names = std::array<std::pair<Enum, const char*>, N>;

constexpr Names<FieldType, 10> kFieldTypes{{{FieldType::kBoolean, "boolean"},
                                            {FieldType::kInteger, "integer"},
                                            {FieldType::kNumber, "number"},
                                            {FieldType::kString, "string"},
                                            {FieldType::kChoice, "choice"},
                                            {FieldType::kPath, "path"},
                                            {FieldType::kModel, "model"},
                                            {FieldType::kStrategy, "strategy"},
                                            {FieldType::kIntegerList, "list of integers"},
                                            {FieldType::kNumberList, "list of numbers"}}};
constexpr Names<Identity, 3> kIdentities{
    {{Identity::kValue, "value"}, {Identity::kContent, "content"}, {Identity::kNone, "none"}}};
constexpr Names<ColumnType, 3> kColumnTypes{{{ColumnType::kFloat64, "float64"},
                                             {ColumnType::kInt64, "int64"},
                                             {ColumnType::kString, "string"}}};
constexpr Names<FileKind, 4> kFileKinds{{{FileKind::kAny, "any"},
                                         {FileKind::kImages, "images"},
                                         {FileKind::kExtractor, "extractor"},
                                         {FileKind::kReference, "reference"}}};
constexpr Names<ElementType, 5> kElementTypes{{{ElementType::kFloat32, "float32"},
                                               {ElementType::kFloat64, "float64"},
                                               {ElementType::kInt64, "int64"},
                                               {ElementType::kUInt8, "uint8"},
                                               {ElementType::kString, "string"}}};
constexpr Names<Work, 5> kWorks{{{Work::kUnknown, "unknown"},
                                 {Work::kSampling, "sampling"},
                                 {Work::kForward, "forward"},
                                 {Work::kFeatures, "features"},
                                 {Work::kTraining, "training"}}};

template <typename Enum, size_t N>
std::string name_of(const Names<Enum, N>& names, Enum value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "?";
}

template <typename Enum, size_t N>
Enum value_of(const Names<Enum, N>& names, const std::string& text) {
  for (const auto& [value, name] : names) {
    if (text == name) return value;
  }
  throw Error(fmt::format("the experiment schema has the unknown word `{}`", text), "build again");
}

Json to_json(const Field& field) {
  Json json = {{"name", field.name},
               {"type", to_string(field.type)},
               {"description", field.description},
               {"unit", field.unit},
               {"required", field.required},
               {"default", field.default_value},
               {"choices", field.choices},
               {"example", field.example},
               {"identity", name_of(kIdentities, field.identity)},
               {"shared", field.shared},
               {"file", name_of(kFileKinds, field.file)}};
  if (field.tuned) json["tuned"] = true;
  if (field.minimum) json["minimum"] = *field.minimum;
  if (field.maximum) json["maximum"] = *field.maximum;
  return json;
}

Field field_from_json(const Json& json) {
  Field field;
  field.name = json.at("name").get<std::string>();
  field.type = value_of(kFieldTypes, json.at("type").get<std::string>());
  field.description = json.at("description").get<std::string>();
  field.unit = json.at("unit").get<std::string>();
  field.required = json.at("required").get<bool>();
  field.default_value = json.at("default");
  field.choices = json.at("choices").get<std::vector<std::string>>();
  field.example = json.at("example");
  field.identity = value_of(kIdentities, json.at("identity").get<std::string>());
  field.shared = json.at("shared").get<bool>();
  field.file = value_of(kFileKinds, json.at("file").get<std::string>());
  field.tuned = json.value("tuned", false);
  if (json.contains("minimum")) field.minimum = json.at("minimum").get<double>();
  if (json.contains("maximum")) field.maximum = json.at("maximum").get<double>();
  return field;
}

Json to_json(const Column& column) {
  return {{"name", column.name},
          {"type", name_of(kColumnTypes, column.type)},
          {"unit", column.unit},
          {"description", column.description},
          {"timing", column.timing}};
}

Column column_from_json(const Json& json) {
  return {json.at("name").get<std::string>(),
          value_of(kColumnTypes, json.at("type").get<std::string>()),
          json.at("unit").get<std::string>(), json.at("description").get<std::string>(),
          json.at("timing").get<bool>()};
}

Json to_json(const ArrayInfo& array) {
  return {{"path", array.path},       {"type", name_of(kElementTypes, array.type)},
          {"axes", array.axes},       {"unit", array.unit},
          {"meaning", array.meaning}, {"timing", array.timing}};
}

ArrayInfo array_from_json(const Json& json) {
  return {json.at("path").get<std::string>(),
          value_of(kElementTypes, json.at("type").get<std::string>()),
          json.at("axes").get<std::vector<std::string>>(),
          json.at("unit").get<std::string>(),
          json.at("meaning").get<std::string>(),
          json.at("timing").get<bool>()};
}

}  // namespace

const Field* ExperimentSchema::field(const std::string& wanted) const {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const Field& field) { return field.name == wanted; });
  return found == fields.end() ? nullptr : &*found;
}

std::string to_string(ElementType type) { return name_of(kElementTypes, type); }

std::string to_string(FieldType type) { return name_of(kFieldTypes, type); }

Json to_json(const ExperimentSchemas& schemas) {
  Json list = Json::array();
  for (const ExperimentSchema& schema : schemas) {
    Json fields = Json::array(), columns = Json::array(), arrays = Json::array();
    for (const Field& field : schema.fields) fields.push_back(to_json(field));
    for (const Column& column : schema.columns) columns.push_back(to_json(column));
    for (const ArrayInfo& array : schema.arrays) arrays.push_back(to_json(array));
    list.push_back({{"name", schema.name},
                    {"description", schema.description},
                    {"revision", schema.revision},
                    {"timed", schema.timed},
                    {"fields", std::move(fields)},
                    {"columns", std::move(columns)},
                    {"arrays", std::move(arrays)},
                    {"work", name_of(kWorks, schema.work)},
                    {"ranks", schema.ranks}});
  }
  return {{"experiments", std::move(list)}};
}

ExperimentSchemas experiment_schemas_from_json(const Json& json) {
  try {
    ExperimentSchemas schemas;
    for (const Json& entry : json.at("experiments")) {
      ExperimentSchema schema;
      schema.name = entry.at("name").get<std::string>();
      schema.description = entry.at("description").get<std::string>();
      schema.revision = entry.at("revision").get<int>();
      schema.timed = entry.at("timed").get<bool>();
      for (const Json& field : entry.at("fields")) schema.fields.push_back(field_from_json(field));
      for (const Json& column : entry.at("columns"))
        schema.columns.push_back(column_from_json(column));
      for (const Json& array : entry.at("arrays")) schema.arrays.push_back(array_from_json(array));
      schema.work = value_of(kWorks, entry.at("work").get<std::string>());
      schema.ranks = entry.value("ranks", false);
      schemas.push_back(std::move(schema));
    }
    return schemas;
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("the experiment schema is damaged: {}", failure.what()), "build again");
  }
}

ExperimentSchemas read_experiment_schemas(const std::filesystem::path& path) {
  return experiment_schemas_from_json(read_json_file(path));
}

}  // namespace tarflow
