#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "framework/core/strategy.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace {

ColumnType column_type(FieldType type) {
  switch (type) {
    case FieldType::kBoolean:
    case FieldType::kInteger:
      return ColumnType::kInt64;
    case FieldType::kNumber:
      return ColumnType::kFloat64;
    default:
      return ColumnType::kString;
  }
}

std::string blocks_column(const std::string& field) { return field + "_blocks"; }

// Where a file lies differs from machine to machine and changes no result; its name tells the
// reader enough.
std::string last_component(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return std::filesystem::path(path).filename().string();
}

// A setting such as `device: auto` gives way to the standard column, which tells what it came to.
bool is_standard(const std::string& name) {
  const std::vector<Column> columns = standard_columns();
  return std::any_of(columns.begin(), columns.end(),
                     [&](const Column& column) { return column.name == name; });
}

void add_cells(Row& row, const Field& field, const Json& value) {
  switch (field.type) {
    case FieldType::kBoolean:
      row[field.name] = int64_t{value.get<bool>()};
      return;
    case FieldType::kInteger:
      row[field.name] = value.get<int64_t>();
      return;
    case FieldType::kNumber:
      row[field.name] = value.get<double>();
      return;
    case FieldType::kString:
    case FieldType::kChoice:
    case FieldType::kModel:
      row[field.name] = value.get<std::string>();
      return;
    case FieldType::kPath:
      row[field.name] = last_component(value.get<std::string>());
      return;
    case FieldType::kIntegerList:
    case FieldType::kNumberList:
      row[field.name] = canonical(value);
      return;
    case FieldType::kStrategy: {
      const Strategy strategy = strategy_from_json(value);
      row[field.name] = strategy.name;
      row[blocks_column(field.name)] = describe(strategy);
      return;
    }
  }
}

}  // namespace

std::vector<Column> standard_columns() {
  const auto text = [](const char* name, const char* description) {
    return Column{name, ColumnType::kString, "", description, false};
  };
  return {text("device", "model of the device that computed the row"),
          text("experiment", "name of the experiment"),
          text("job", "hash of the job that computed the row; its arrays are in /jobs/<job>"),
          text("point", "identity of the row: hash of experiment, revision and settings"),
          text("status", "ok, or what is to be known before the row is used")};
}

std::vector<Column> settings_columns(const ExperimentSchema& schema) {
  std::vector<Column> columns;
  for (const Field& field : schema.fields) {
    if (is_standard(field.name)) continue;
    columns.push_back({field.name, column_type(field.type), field.unit, field.description, false});
    if (field.type == FieldType::kStrategy) {
      columns.push_back({blocks_column(field.name), ColumnType::kString, "",
                         fmt::format("how `{}` inverts each block", field.name), false});
    }
  }
  return columns;
}

Row settings_row(const ExperimentSchema& schema, const Json& settings) {
  Row row;
  for (const Field& field : schema.fields) {
    const auto value = settings.find(field.name);
    if (value == settings.end() || value->is_null() || is_standard(field.name)) continue;
    try {
      add_cells(row, field, *value);
    } catch (const Json::exception&) {
      throw Error(fmt::format("the setting `{}` of {} is no {}: {}", field.name, schema.name,
                              to_string(field.type), value->dump()));
    }
  }
  return row;
}

std::vector<Column> all_columns(const ExperimentSchema& schema) {
  std::vector<Column> columns = standard_columns();
  const std::vector<Column> settings = settings_columns(schema);
  columns.insert(columns.end(), settings.begin(), settings.end());
  std::copy_if(schema.columns.begin(), schema.columns.end(), std::back_inserter(columns),
               [](const Column& column) { return !is_standard(column.name); });
  std::sort(columns.begin(), columns.end(),
            [](const Column& a, const Column& b) { return a.name < b.name; });
  const auto twice =
      std::adjacent_find(columns.begin(), columns.end(),
                         [](const Column& a, const Column& b) { return a.name == b.name; });
  if (twice != columns.end()) {
    throw Error(fmt::format("the experiment {} has two columns `{}`", schema.name, twice->name),
                "rename the field or the result");
  }
  return columns;
}

}  // namespace tarflow::record
