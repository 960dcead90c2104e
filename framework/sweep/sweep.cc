#include "framework/sweep/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "framework/sweep/grid.h"
#include "framework/sweep/models.h"
#include "framework/sweep/paths.h"
#include "framework/sweep/scalars.h"
#include "framework/sweep/yaml.h"

namespace tarflow::sweep {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxProblems = 50;  // shown at once
constexpr size_t kMaxName = 100;     // bytes; the name becomes that of a file and a folder

// The sweep's name, from the file's own name when it states none.
std::string read_name(const Node& root, const fs::path& file, Report& report) {
  const Entry* entry = root.find("name");
  if (entry && !read_text(*entry->value, "name", report)) return "";
  const std::string name = entry ? entry->value->text : file.stem().string();
  if (name.empty() || name.size() > kMaxName || name[0] == '.' ||
      name.find('/') != std::string::npos) {
    report.error(
        entry ? entry->value->mark : Mark{},
        fmt::format("`{}` cannot be the name of a sweep, which names its results' file", name),
        "state a `name:` of at most 100 characters, without `/` and not starting with a dot");
  }
  return name;
}

// Defaults must be fields of some experiment.
const Node* read_defaults(const Node& root, const ExperimentSchemas& schemas, Report& report) {
  const Entry* entry = root.find("defaults");
  if (!entry || !read_map(*entry->value, "defaults", report)) return nullptr;
  std::set<std::string> names;
  for (const ExperimentSchema& schema : schemas) {
    for (const Field& field : schema.fields) names.insert(field.name);
  }
  require_keys(*entry->value, "no experiment: `defaults`", {names.begin(), names.end()}, report);
  return entry->value.get();
}

// The one `experiment: settings` of an entry of `experiments:`; a bare name has no settings.
std::optional<Entry> read_entry(const NodePtr& node, Report& report) {
  if (node->kind == NodeKind::kScalar)
    return Entry{node->text, node->mark, std::make_shared<Node>()};
  if (node->kind != NodeKind::kMap || node->entries.empty()) {
    report.error(node->mark, fmt::format("expected an experiment, found {}", found(*node)),
                 "write `- experiment: {settings}`");
    return std::nullopt;
  }
  if (node->entries.size() > 1) {
    report.error(node->entries[1].mark,
                 fmt::format("`{}` stands beside `{}`, not below it", node->entries[1].key,
                             node->entries[0].key),
                 "indent settings deeper than the experiment; begin another experiment with `- `");
    return std::nullopt;
  }
  return node->entries[0];
}

void read_experiments(const Node& root, const ExperimentSchemas& schemas,
                      const Surroundings& surroundings, Report& report, Expansion& expansion) {
  const Entry* experiments = root.find("experiments");
  if (!experiments) {
    report.error(root.mark, "the sweep has no `experiments:`",
                 "list what to run below `experiments:`");
    return;
  }
  const Node* list = read_list(*experiments->value, "experiments", report);
  if (!list) return;
  const Node* defaults = read_defaults(root, schemas, report);
  std::vector<std::string> names;
  for (const ExperimentSchema& schema : schemas) names.push_back(schema.name);
  for (const NodePtr& item : list->items) {
    const std::optional<Entry> entry = read_entry(item, report);
    if (!entry) continue;
    const auto schema =
        std::find_if(schemas.begin(), schemas.end(),
                     [&](const ExperimentSchema& known) { return known.name == entry->key; });
    if (schema == schemas.end()) {
      report.error(entry->mark, fmt::format("there is no experiment `{}`", entry->key),
                   did_you_mean(entry->key, names));
      continue;
    }
    expand_experiment(*schema, *entry, defaults, surroundings, report, expansion);
  }
  if (!defaults) return;
  for (const Entry& entry : defaults->entries) {
    if (!expansion.defaults_used[entry.key]) {
      report.warn(entry.mark, fmt::format("no experiment of this sweep has a `{}`", entry.key),
                  "remove it");
    }
  }
}

}  // namespace

RunSettingsPtr default_run_settings() {
  static const auto settings = std::make_shared<const RunSettings>();
  return settings;
}

Sweep load_sweep(const fs::path& file, const ExperimentSchemas& schemas,
                 const LoadOptions& options) {
  const Document document = read_yaml(file);
  Report report{document, document.problems, {}, {}};
  if (document.root->kind != NodeKind::kMap) {
    throw Error(document.problem(
        document.root->mark,
        fmt::format("a sweep is a map of `experiments:` and more, found {}", found(*document.root)),
        "see sweeps/demo.yaml"));
  }
  const Node& root = *document.root;
  require_keys(root, "a sweep", {"name", "models", "defaults", "experiments"}, report);
  Sweep sweep;
  sweep.file = fs::absolute(file).lexically_normal();
  sweep.name = read_name(root, file, report);
  const std::vector<fs::path> folders = search_folders(file);
  const Entry* models = root.find("models");
  const auto entries = read_models(models ? models->value.get() : nullptr, folders, report);
  Expansion expansion;
  read_experiments(root, schemas, {folders, entries, options.allow_missing}, report, expansion);
  std::vector<Problem> problems = std::move(report.errors);
  if (!options.allow_missing) {
    problems.insert(problems.end(), report.missing.begin(), report.missing.end());
  }
  if (!problems.empty()) throw Error(in_order(std::move(problems), kMaxProblems));
  for (const auto& [name, entry] : entries) sweep.models.emplace(name, entry.model);
  sweep.points = std::move(expansion.points);
  sweep.warnings = in_order(std::move(report.warnings), kMaxProblems);
  sweep.missing = in_order(std::move(report.missing));
  return sweep;
}

}  // namespace tarflow::sweep
