#include "framework/record/origins.h"

#include <fmt/format.h>

#include <memory>

#include "framework/core/json.h"
#include "framework/record/array.h"
#include "framework/record/hdf5.h"

namespace tarflow::record {
namespace {

constexpr const char* kSources = "sources";
constexpr const char* kLinkedOver = "linked_over";
constexpr const char* kUnused = "unused";
constexpr int kLargestClass = 31;  // its bytes are the last that 64 bits hold

Json to_json(const std::vector<Column>& columns) {
  Json list = Json::array();
  for (const Column& column : columns) {
    list.push_back({column.name, static_cast<int>(column.type), column.unit, column.description,
                    column.timing});
  }
  return list;
}

ColumnList columns_from(const Json& list) {
  std::vector<Column> columns;
  for (const Json& column : list) {
    const int type = column.at(1).get<int>();
    if (type < 0 || type > static_cast<int>(ColumnType::kString))
      throw Error("its /sources are not complete");
    columns.push_back({column.at(0).get<std::string>(), static_cast<ColumnType>(type),
                       column.at(2).get<std::string>(), column.at(3).get<std::string>(),
                       column.at(4).get<bool>()});
  }
  return std::make_shared<const std::vector<Column>>(std::move(columns));
}

Json to_json(const Origin& origin) {
  Json json{{"job", origin.job},
            {"sha256", origin.sha256},
            {"bytes", origin.bytes},
            {"generation", origin.generation},
            {"columns", origin.columns}};
  if (!origin.all) json["all"] = false;
  if (!origin.file.empty()) json["file"] = origin.file;
  for (const auto& [size_class, bytes] : origin.sizes) json["sizes"].push_back({size_class, bytes});
  return json;
}

Origin origin_from(const Json& json) {
  Origin origin{json.at("job").get<std::string>(), json.at("sha256").get<std::string>(),
                json.at("bytes").get<uint64_t>(),  json.at("generation").get<int64_t>(),
                json.at("columns").get<size_t>(),  json.value("all", true),
                json.value("file", std::string()), {}};
  if (json.contains("sizes")) {
    for (const Json& size : json["sizes"]) {
      const int k = size.at(0).get<int>();
      if (k < 0 || k > kLargestClass) throw Error("its /sources are not complete");
      origin.sizes[k] = size.at(1).get<uint64_t>();
    }
  }
  return origin;
}

// One JSON text a line.
Array text_lines(std::string path, std::vector<std::string> lines, std::string meaning) {
  Array array;
  array.path = std::move(path);
  array.type = ArrayType::kString;
  array.shape = {static_cast<int64_t>(lines.size())};
  array.strings = std::move(lines);
  array.meaning = std::move(meaning);
  return array;
}

std::vector<std::string> lines_of(hid_t group, const std::string& path) {
  std::optional<Array> array = read_array(group, path);
  if (!array || array->type != ArrayType::kString) throw Error("its /sources are not complete");
  return std::move(array->strings);
}

}  // namespace

int size_class(uint64_t bytes) {
  int k = 0;
  while (largest_of_class(k) < bytes) ++k;
  return k;
}

uint64_t largest_of_class(int size_class) { return uint64_t{1} << (2 * size_class); }

std::string columns_text(const std::vector<Column>& columns) { return to_json(columns).dump(); }

void write_origins(hid_t file, const Origins& origins) {
  const Handle group = create_group(file, kSources);
  std::vector<std::string> columns, jobs;
  for (const ColumnList& list : origins.columns) columns.push_back(columns_text(*list));
  for (const Origin& origin : origins.jobs) jobs.push_back(to_json(origin).dump());
  write_arrays(
      group,
      {text_lines("columns", std::move(columns), "lists of columns of the jobs' files, in JSON"),
       text_lines("jobs", std::move(jobs), "the file of each job as it was merged, in JSON")});
  if (origins.linked_over) {
    write_attribute(group, kLinkedOver, static_cast<int64_t>(*origins.linked_over));
  }
  write_attribute(group, kUnused, static_cast<int64_t>(origins.unused));
}

void note_unused(hid_t file, uint64_t bytes) {
  const std::string what = "cannot write what is unused";
  const Handle group = open_group(file, kSources);
  const Handle attribute = own(H5Aopen(group, kUnused, H5P_DEFAULT), H5Aclose, what);
  const int64_t value = static_cast<int64_t>(bytes);
  check(H5Awrite(attribute, H5T_NATIVE_INT64, &value), what);
}

std::optional<Origins> read_origins(hid_t file, bool linked_only) {
  if (H5Lexists(file, kSources, H5P_DEFAULT) <= 0) return std::nullopt;
  const Handle group = open_group(file, kSources);
  const bool linked = H5Aexists(group, kLinkedOver) > 0;
  if (linked_only && !linked) return std::nullopt;
  Origins origins;
  if (linked) {
    origins.linked_over = static_cast<uint64_t>(read_integer_attribute(group, kLinkedOver));
  }
  origins.unused = static_cast<uint64_t>(read_integer_attribute(group, kUnused));
  for (const std::string& line : lines_of(group, "columns"))
    origins.columns.push_back(columns_from(Json::parse(line)));
  for (const std::string& line : lines_of(group, "jobs")) {
    origins.jobs.push_back(origin_from(Json::parse(line)));
    if (origins.jobs.back().columns >= origins.columns.size())
      throw Error("its /sources are not complete");
  }
  return origins;
}

}  // namespace tarflow::record
