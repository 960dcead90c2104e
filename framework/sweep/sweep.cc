#include "framework/sweep/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "framework/core/trained.h"
#include "framework/sweep/expansion.h"
#include "framework/sweep/made_files.h"
#include "framework/sweep/only.h"
#include "framework/sweep/overrides.h"
#include "framework/sweep/paths.h"
#include "framework/sweep/run_parse.h"
#include "framework/sweep/scalars.h"

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
  require_keys(*entry->value, "no experiment: `defaults`", {names.begin(), names.end()}, report,
               kListOfKeys);
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

const ExperimentSchema* find_schema(const ExperimentSchemas& schemas, const Entry& entry,
                                    Report& report) {
  std::vector<std::string> names;
  for (const ExperimentSchema& schema : schemas) {
    if (schema.name == entry.key) return &schema;
    names.push_back(schema.name);
  }
  report.error(entry.mark, fmt::format("there is no experiment `{}`", entry.key),
               did_you_mean(entry.key, names));
  return nullptr;
}

// An experiment of the file that there is.
struct Stated {
  const ExperimentSchema* schema;
  Entry entry;
};

std::vector<Stated> read_experiments(const Node& root, const ExperimentSchemas& schemas,
                                     Report& report) {
  std::vector<Stated> stated;
  const Entry* experiments = root.find("experiments");
  if (!experiments) {
    if (report.incomplete) return stated;
    report.error(root.mark, "the sweep has no `experiments:`",
                 "list what to run below `experiments:`");
    return stated;
  }
  const Node& value = *experiments->value;
  if (value.kind == NodeKind::kMap && !value.entries.empty()) {
    const std::string& first = value.entries.front().key;
    report.error(value.entries.front().mark, "`experiments`: expected a list, found a map",
                 fmt::format("begin each experiment with `- `: write `- {}:` and indent its "
                             "settings below it",
                             first));
    return stated;
  }
  const Node* list = read_list(value, "experiments", report);
  if (!list) return stated;
  for (const NodePtr& item : list->items) {
    std::optional<Entry> entry = read_entry(item, report);
    const ExperimentSchema* schema = entry ? find_schema(schemas, *entry, report) : nullptr;
    if (schema) stated.push_back({schema, std::move(*entry)});
  }
  return stated;
}

// The files that experiments with an `output` write.
Paths stated_outputs(const std::vector<Stated>& experiments, const Node* defaults,
                     const Overrides& overrides) {
  Paths outputs;
  for (const auto& [schema, entry] : experiments) {
    if (!schema->field(kOutput) || schema->name == kTrain) continue;  // its files are of models
    add_outputs(*entry.value, outputs);
    const Entry* shared = defaults ? defaults->find(kOutput) : nullptr;
    if (shared) add_output_texts(*shared->value, outputs);
    const auto own = overrides.of(*schema);
    if (const auto stated = own.find(kOutput); stated != own.end()) {
      add_output_texts(*stated->second, outputs);
    }
  }
  return outputs;
}

// What a file that is to be made holds now is of no interest.
FileFacts facts_without(const FileFacts& facts, const Paths& made) {
  FileFacts known = facts;
  if (made.empty()) return known;
  if (facts.reference) {
    known.reference = [reference = facts.reference, made](const fs::path& file) {
      return made.contains(file) ? std::nullopt : reference(file);
    };
  }
  if (facts.images) {
    known.images = [images = facts.images, made](const fs::path& file, FileKind kind,
                                                 const std::string& layout) {
      return made.contains(file) ? std::nullopt : images(file, kind, layout);
    };
  }
  return known;
}

// What `run:` at the top, in the experiment and --set say together. An experiment that runs in one
// process does so whatever is said for all.
RunSettingsPtr read_run_settings(const Node& root, const ExperimentSchema& schema,
                                 const Entry& experiment, const Overrides& overrides,
                                 Report& report) {
  RunSettings settings;
  if (const Entry* run = root.find("run")) read_run(*run->value, true, settings, report);
  const Node& own = *experiment.value;
  const Entry* run = own.kind == NodeKind::kMap ? own.find("run") : nullptr;
  if (run) read_run(*run->value, false, settings, report);
  if (run && !schema.ranks) require_one_process(*run->value, schema.name, settings, report);
  if (!overrides.run.empty()) {
    Node map;
    map.kind = NodeKind::kMap;
    map.mark = overrides.run.front().mark;
    map.entries = overrides.run;
    read_run(map, true, settings, report);
  }
  if (!schema.ranks) {
    settings.gpus = std::min<int64_t>(settings.gpus, 1);
    settings.nodes = settings.ranks = 1;
  }
  return std::make_shared<const RunSettings>(settings);
}

void warn_of_unused_defaults(const Node* defaults, Expansion& expansion, Report& report) {
  if (!defaults) return;
  for (const Entry& entry : defaults->entries) {
    if (!expansion.defaults_used[entry.key]) {
      report.warn(entry.mark, fmt::format("no experiment of this sweep has a `{}`", entry.key),
                  "remove it");
    }
  }
}

// An experiment without a point is an error when the sweep has no other.
void tell_excluded(const Expansion& expansion, Report& report) {
  for (const Expansion::Excluded& excluded : expansion.excluded) {
    if (excluded.conditions.empty()) continue;
    const Mark mark = excluded.conditions.front();
    std::string others;
    for (size_t i = 1; i < excluded.conditions.size(); ++i) {
      others += fmt::format("{}{}", i == 1 ? ", with those on " : ", ",
                            report.sources.line(excluded.conditions[i], mark));
    }
    const std::string what =
        fmt::format("this condition{} excludes all points of `{}`", others, excluded.experiment);
    if (expansion.points.empty()) {
      report.error(mark, what, "nothing is left to run: correct or remove the condition");
    } else {
      report.warn(mark, what, "correct the condition, or remove the experiment");
    }
  }
}

const Node* section(const Node& root, const char* key) {
  const Entry* entry = root.find(key);
  return entry ? entry->value.get() : nullptr;
}

// The sweep file as source 0, and its tree with all that it uses put in.
NodePtr read_tree(const fs::path& file, const LoadOptions& options, Sources& sources,
                  Report& report, Overrides& overrides) {
  auto document = std::make_shared<const Document>(read_yaml(file));
  const auto folders = std::make_shared<Folders>(search_folders(file));
  sources.add({document, {}, folders});
  report.errors = document->problems;
  Expander expander(sources, options.preset_folders, folders, report);
  const NodePtr root = expander.expand(document->root, 0);
  if (root->kind != NodeKind::kMap) {
    if (!report.errors.empty()) throw Error(in_order(report.errors, document->file, kMaxProblems));
    throw Error(sources.problem(
        root->mark,
        fmt::format("a sweep is a map of `experiments:` and more, found {}", found(*root)),
        "see sweeps/demo.yaml"));
  }
  overrides = read_overrides(options.set, sources, expander, report);
  return with_overrides(root, overrides, report);
}

}  // namespace

namespace {

// The points that train models, read before the models are; nothing where one of them is faulty.
std::optional<std::vector<Point>> read_trainings(const std::vector<Stated>& experiments,
                                                 const Node* defaults, const Overrides& overrides,
                                                 const Surroundings& surroundings,
                                                 const Report& report) {
  Report scratch = report.fresh();  // they are read again with all others
  Expansion expansion;
  for (const auto& [schema, entry] : experiments) {
    if (schema->name != kTrain) continue;
    const Outside outside{defaults, overrides.of(*schema), default_run_settings()};
    expand_experiment(*schema, entry, outside, surroundings, {}, scratch, expansion);
  }
  if (!scratch.errors.empty()) return std::nullopt;
  return std::move(expansion.points);
}

}  // namespace

namespace {

// Of absent files, those stay that selected points need.
void drop_needless(const std::vector<Point>& points, Report& report) {
  std::set<std::string_view> needed;
  for (const Point& point : points) {
    if (!point.selected) continue;
    for (const SettingPtr& setting : point.settings) {
      if (setting->value.is_string()) needed.insert(setting->value.get_ref<const std::string&>());
    }
  }
  std::erase_if(report.missing,
                [&](const Report::Missing& file) { return !needed.contains(file.key); });
}

}  // namespace

RunSettingsPtr default_run_settings() {
  static const auto settings = std::make_shared<const RunSettings>();
  return settings;
}

Sweep load_sweep(const fs::path& file, const ExperimentSchemas& schemas,
                 const LoadOptions& options) {
  Sources sources;
  Report report(sources);
  Overrides overrides;
  const NodePtr tree = read_tree(file, options, sources, report, overrides);
  const Node& root = *tree;
  require_keys(root, "a sweep", {"name", "models", "strategies", "defaults", "run", "experiments"},
               report);
  Sweep sweep;
  sweep.file = fs::absolute(file).lexically_normal();
  sweep.name = read_name(root, file, report);
  const NamedStrategies strategies = read_named_strategies(section(root, "strategies"), report);
  const std::vector<Stated> experiments = read_experiments(root, schemas, report);
  std::vector<const ExperimentSchema*> used;
  for (const Stated& experiment : experiments) used.push_back(experiment.schema);
  if (!experiments.empty()) require_used(overrides, used, report);
  const Node* defaults = experiments.empty() ? nullptr : read_defaults(root, schemas, report);
  const Paths made = stated_outputs(experiments, defaults, overrides);
  const auto trainings = read_trainings(experiments, defaults, overrides,
                                        {{}, strategies, /*allow_missing=*/true, made}, report);
  const auto models = read_models(section(root, "models"), trainings, report);
  const Surroundings surroundings{models, strategies, options.allow_missing, made};
  const FileFacts facts = facts_without(options.facts, made);
  Expansion expansion;
  for (const auto& [schema, entry] : experiments) {
    const Outside outside{defaults, overrides.of(*schema),
                          read_run_settings(root, *schema, entry, overrides, report)};
    expand_experiment(*schema, entry, outside, surroundings, facts, report, expansion);
  }
  warn_of_unused_defaults(defaults, expansion, report);
  if (report.errors.empty()) tell_excluded(expansion, report);
  if (report.errors.empty()) {
    select_points(options.only, schemas, surroundings, sources, report, expansion.points);
    if (!options.only.empty()) drop_needless(expansion.points, report);
  }
  if (report.errors.empty()) {
    std::map<std::string, Model> known;
    for (const auto& [name, entry] : models) known.emplace(name, entry.model);
    sweep.makers = find_makers(expansion.points, schemas, known, made, report.errors);
  }
  std::vector<Problem> problems = std::move(report.errors);
  if (!options.allow_missing) {
    const std::vector<Problem> missing = report.missing_files();
    problems.insert(problems.end(), missing.begin(), missing.end());
  }
  if (!problems.empty()) throw Error(in_order(std::move(problems), file.string(), kMaxProblems));
  for (const auto& [name, entry] : models) sweep.models.emplace(name, entry.model);
  sweep.points = std::move(expansion.points);
  sweep.warnings = in_order(std::move(report.warnings), file.string(), kMaxProblems);
  sweep.missing = in_order(report.missing_files(), file.string());
  return sweep;
}

}  // namespace tarflow::sweep
