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

// Whether the numbers of this strategy have columns. An experiment with several strategies, as
// compare, has those of the first.
bool has_numbers(const ExperimentSchema& schema, const Field& field) {
  const auto first = std::find_if(
      schema.fields.begin(), schema.fields.end(),
      [](const Field& other) { return other.type == FieldType::kStrategy; });
  return first != schema.fields.end() && first->name == field.name;
}

// The numbers of a strategy, under names of their own.
std::vector<Column> number_columns() {
  const auto whole = [](const char* name, const char* description) {
    return Column{name, ColumnType::kInt64, "", description, false};
  };
  return {{"stack", ColumnType::kString, "",
           "tough block of a strategy such as [7-8-32-10], here 7; 0/6 for several of them", false},
          whole("segments", "its segments, 8; absent where tough blocks differ in it"),
          whole("iterations", "the most iterations of a segment, 32; likewise"),
          whole("else", "the most iterations of the other blocks, 10, or of all blocks"),
          whole("window", "width of the adaptive window, where all blocks have the same"),
          {"tolerance", ColumnType::kFloat64, "",
           "tolerance of the adaptive window, where all blocks have the same", false}};
}

// Whether the experiment has no setting or result of that name, which would come first.
bool is_free(const ExperimentSchema& schema, const std::string& name) {
  return !schema.field(name) &&
         std::none_of(schema.columns.begin(), schema.columns.end(),
                      [&](const Column& column) { return column.name == name; });
}

void add_numbers(Row& row, const ExperimentSchema& schema, const StrategyNumbers& numbers) {
  const auto add = [&](const char* column, const auto& value) {
    if (value && is_free(schema, column)) row[column] = *value;
  };
  add("stack", numbers.stack.empty() ? std::nullopt : std::optional(numbers.stack));
  add("segments", numbers.segments);
  add("iterations", numbers.iterations);
  add("else", numbers.others);
  add("window", numbers.window);
  add("tolerance", numbers.tolerance);
}

void add_cells(Row& row, const ExperimentSchema& schema, const Field& field, const Json& value) {
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
      if (has_numbers(schema, field)) add_numbers(row, schema, numbers_of(strategy));
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
      for (const Column& column : number_columns()) {
        if (has_numbers(schema, field) && is_free(schema, column.name)) columns.push_back(column);
      }
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
      add_cells(row, schema, field, *value);
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
