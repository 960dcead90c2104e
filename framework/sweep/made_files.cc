#include "framework/sweep/made_files.h"

#include <fmt/format.h>

#include "framework/sweep/paths.h"

namespace tarflow::sweep {
namespace fs = std::filesystem;
namespace {

fs::path as_written(const std::string& output) { return fs::absolute(output).lexically_normal(); }

// What the point writes beside its result; "" for nothing.
std::string output_of(const ExperimentSchema& schema, const Settings& settings) {
  const Field* field = schema.field(kOutput);
  const Json* value = field && field->type == FieldType::kString ? settings.find(kOutput) : nullptr;
  return value && value->is_string() ? value->get<std::string>() : "";
}

}  // namespace

void add_output_texts(const Node& node, Paths& outputs) {
  if (node.kind == NodeKind::kScalar && !node.text.empty()) outputs.insert(as_written(node.text));
  for (const NodePtr& item : node.items) add_output_texts(*item, outputs);
}

void add_outputs(const Node& node, Paths& outputs) {
  for (const NodePtr& item : node.items) add_outputs(*item, outputs);
  for (const Entry& entry : node.entries) {
    if (entry.key == kOutput) {
      add_output_texts(*entry.value, outputs);
    } else {
      add_outputs(*entry.value, outputs);
    }
  }
}

std::vector<fs::path> made_files_of(const ExperimentSchema& schema, const Settings& settings,
                                    const std::map<fs::path, std::string>& makers) {
  std::vector<fs::path> files;
  if (makers.empty()) return files;
  for (const Field& field : schema.fields) {
    const Json* value = field.type == FieldType::kPath ? settings.find(field.name) : nullptr;
    if (!value) continue;
    const auto made = makers.find(value->get_ref<const std::string&>());
    if (made != makers.end()) files.push_back(made->first);
  }
  return files;
}

std::map<fs::path, std::string> find_makers(const std::vector<Point>& points,
                                            const ExperimentSchemas& schemas, const Paths& outputs,
                                            std::vector<Problem>& errors) {
  std::map<fs::path, std::string> makers;
  if (outputs.empty()) return makers;
  std::map<fs::path, std::string> read;  // what is read, as `makers`
  for (const fs::path& output : outputs) makers[output] = "";
  for (const Point& point : points) {
    for (const ExperimentSchema& schema : schemas) {
      if (schema.name != point.experiment) continue;
      for (const fs::path& file : made_files_of(schema, point.settings, makers)) read[file] = "";
    }
  }
  for (const Point& point : points) {
    for (const ExperimentSchema& schema : schemas) {
      if (schema.name != point.experiment) continue;
      const std::string text = output_of(schema, point.settings);
      const auto file = text.empty() ? read.end() : read.find(as_written(text));
      if (file == read.end()) continue;
      if (!file->second.empty()) {
        errors.push_back({*point.place,
                          fmt::format("several points write {}, which others read", text),
                          "give each an `output` of its own", ""});
        return {};
      }
      file->second = point.id;
    }
  }
  std::erase_if(read, [](const auto& entry) { return entry.second.empty(); });
  return read;
}

}  // namespace tarflow::sweep
