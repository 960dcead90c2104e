#include "framework/sweep/made_files.h"

#include <fmt/format.h>

#include "framework/core/trained.h"
#include "framework/sweep/paths.h"

namespace tarflow::sweep {
namespace fs = std::filesystem;
namespace {

fs::path as_written(const fs::path& output) { return fs::absolute(output).lexically_normal(); }

// The files that the point writes beside its result.
std::vector<fs::path> outputs_of(const ExperimentSchema& schema, const Settings& settings) {
  const Field* field = schema.field(kOutput);
  const Json* value = field && field->type == FieldType::kString ? settings.find(kOutput) : nullptr;
  if (!value || !value->is_string() || value->get_ref<const std::string&>().empty()) return {};
  if (schema.name != kTrain) return {as_written(value->get<std::string>())};
  const Trained made = trained(settings.json());
  std::vector<fs::path> files = {as_written(made.folder / made.file())};
  if (made.averaged) files.push_back(as_written(made.folder / made.averaged_file()));
  return files;
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
                                    const std::map<std::string, Model>& models,
                                    const std::map<fs::path, std::string>& makers) {
  std::vector<fs::path> files;
  if (makers.empty()) return files;
  for (const Field& field : schema.fields) {
    if (field.type != FieldType::kPath && field.type != FieldType::kModel) continue;
    const Json* value = settings.find(field.name);
    if (!value) continue;
    const std::string& text = value->get_ref<const std::string&>();
    const auto made =
        makers.find(field.type == FieldType::kModel ? models.at(text).checkpoint : fs::path(text));
    if (made != makers.end()) files.push_back(made->first);
  }
  return files;
}

std::map<fs::path, std::string> find_makers(const std::vector<Point>& points,
                                            const ExperimentSchemas& schemas,
                                            const std::map<std::string, Model>& models,
                                            const Paths& outputs, std::vector<Problem>& errors) {
  std::map<fs::path, std::string> makers;
  for (const fs::path& output : outputs) makers[output] = "";
  for (const auto& [name, model] : models) {
    if (model.trained) makers[model.checkpoint] = "";
  }
  if (makers.empty()) return makers;
  const auto each = [&](const auto& visit) {
    for (const Point& point : points) {
      for (const ExperimentSchema& schema : schemas) {
        if (schema.name == point.experiment) visit(point, schema);
      }
    }
  };
  std::map<fs::path, std::string> read;  // what is read, as `makers`
  each([&](const Point& point, const ExperimentSchema& schema) {
    for (const fs::path& file : made_files_of(schema, point.settings, models, makers))
      read[file] = "";
  });
  bool ambiguous = false;
  std::map<fs::path, std::string> trained;  // by which point, read or not
  each([&](const Point& point, const ExperimentSchema& schema) {
    for (const fs::path& file : outputs_of(schema, point.settings)) {
      const auto wanted = read.find(file);
      const bool first =
          schema.name != kTrain || trained.emplace(file, point.id).first->second == point.id;
      if (first && wanted == read.end()) continue;
      if (!first || !wanted->second.empty()) {
        const std::string shown = file.lexically_proximate(fs::current_path()).string();
        errors.push_back(
            {*point.place,
             fmt::format("several points write {}{}", shown, first ? ", which others read" : ""),
             first ? "give each an `output` of its own"
                   : "give each a `name` or an `output` of its own",
             ""});
        ambiguous = true;
        return;
      }
      wanted->second = point.id;
    }
  });
  if (ambiguous) return {};
  std::erase_if(read, [](const auto& entry) { return entry.second.empty(); });
  return read;
}

}  // namespace tarflow::sweep
