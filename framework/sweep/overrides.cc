#include "framework/sweep/overrides.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/sweep/paths.h"
#include "framework/sweep/scalars.h"

namespace tarflow::sweep {
namespace {

constexpr const char* kForm = "write key=value, experiment.key=value or models.name.key=value";

std::vector<std::string> keys_of(const Node& map) {
  std::vector<std::string> keys;
  for (const Entry& entry : map.entries) keys.push_back(entry.key);
  return keys;
}

// "a.b" -> {"a", "b"}: the part before the first dot.
std::pair<std::string, std::string> split_once(const std::string& key) {
  const size_t dot = key.find('.');
  if (dot == std::string::npos) return {key, ""};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

void sort_in(Entry entry, Overrides& overrides, Report& report) {
  const auto [first, rest] = split_once(entry.key);
  const bool section = first == "models" || first == "strategies" || first == "defaults";
  if (entry.key == "name" || (section && !rest.empty())) {
    overrides.paths.push_back(std::move(entry));
  } else if (first == "run" && !rest.empty()) {
    entry.key = rest;
    overrides.run.push_back(std::move(entry));
  } else if (section || first == "run" || entry.key.empty() || entry.key.ends_with('.')) {
    report.error(entry.mark, fmt::format("`{}` names nothing that can be set", entry.key), kForm);
  } else if (rest.empty()) {
    overrides.settings[""][first] = std::move(entry);
  } else {
    overrides.settings[first][rest] = std::move(entry);
  }
}

// The tree with `value` below the dotted key. Of a model's or the file's own map any key may be
// stated, which is checked later as if the file stated it; names before it must be there.
NodePtr with_value(const NodePtr& node, const std::string& key, const Entry& stated,
                   const std::string& owner, Report& report) {
  const Node* map = node && node->kind == NodeKind::kMap ? node.get() : nullptr;
  const Entry* entry = map ? map->find(key) : nullptr;  // a name may hold dots
  const auto [first, rest] = split_once(key);
  std::string place = key, inner;
  if (!entry && map && !rest.empty() && map->find(first)) {
    entry = map->find(first);
    place = first;
    inner = rest;
  } else if (!entry && !rest.empty()) {
    report.error(stated.mark, fmt::format("there is no `{}` in {}", first, owner),
                 map && !map->entries.empty() ? did_you_mean(first, keys_of(*map)) : kForm);
    return node;
  }
  NodePtr value = stated.value;
  if (!inner.empty()) {
    value = with_value(entry->value, inner, stated, fmt::format("`{}`", place), report);
  }
  auto changed = map ? std::make_shared<Node>(*map) : std::make_shared<Node>();
  changed->kind = NodeKind::kMap;
  if (!map) changed->mark = stated.mark;
  const auto same = [&](const Entry& other) { return other.key == place; };
  const auto found = std::find_if(changed->entries.begin(), changed->entries.end(), same);
  if (found != changed->entries.end()) {
    found->value = std::move(value);
  } else {
    changed->entries.push_back({place, stated.mark, std::move(value)});
  }
  return changed;
}

// "evaluate.cfg" of the key `grid.cfg` for `evaluate`, where the experiment has a `cfg`: axes are
// replaced by the name of their field. "" for other keys.
std::string axis_repair(const std::string& owner, const std::string& key,
                        const std::vector<std::string>& fields) {
  const size_t dot = key.rfind('.');
  const std::string group = key.substr(0, key.find('.'));
  if (dot == std::string::npos || (group != "grid" && group != "zip")) return "";
  const std::string field = key.substr(dot + 1);
  if (std::find(fields.begin(), fields.end(), field) == fields.end()) return "";
  return fmt::format("write `{}{}=...`, which replaces an axis as well",
                     owner.empty() ? "" : owner + ".", field);
}

}  // namespace

NodePtr parse_argument(const std::string& text, std::string yaml, const std::string& name,
                       Sources& sources, int& source) {
  auto document = std::make_shared<Document>();
  document->file = name;
  document->text = text;
  document->line_starts = {0};
  auto folders = std::make_shared<Folders>(search_folders(std::filesystem::current_path() / name));
  source = sources.add({document, {}, std::move(folders)});
  Document parsed;
  try {
    parsed = parse_yaml(std::move(yaml), name);
  } catch (const Error& failure) {
    const Problem& problem = failure.problems().front();
    throw Error(document->problem({problem.place.line, problem.place.column}, problem.what,
                                  problem.repair));
  }
  if (!parsed.problems.empty()) throw Error(parsed.problems);
  return parsed.root;
}

std::map<std::string, NodePtr> Overrides::of(const ExperimentSchema& schema) const {
  std::map<std::string, NodePtr> result;
  for (const std::string& owner : {std::string(), schema.name}) {
    const auto found = settings.find(owner);
    if (found == settings.end()) continue;
    for (const auto& [key, entry] : found->second) {
      if (schema.field(key)) result[key] = entry.value;
    }
  }
  return result;
}

Overrides read_overrides(const std::vector<std::string>& texts, Sources& sources,
                         Expander& expander, Report& report) {
  Overrides overrides;
  for (const std::string& text : texts) {
    int source = 0;
    const size_t equals = text.find('=');
    try {
      const size_t begin = equals == std::string::npos ? text.size() : equals + 1;
      const NodePtr value = parse_argument(text, std::string(begin, ' ') + text.substr(begin),
                                           "--set", sources, source);
      const Mark mark{1, 1, source};
      if (equals == std::string::npos || equals == 0) {
        report.error(mark, fmt::format("`{}` is not key=value", text), kForm);
        continue;
      }
      NodePtr expanded = expander.expand(value, source);
      if (expanded->kind == NodeKind::kNull) {
        auto nothing = std::make_shared<Node>();
        nothing->mark = {1, static_cast<int>(equals) + 2, source};
        expanded = nothing;
      }
      const size_t end = text.find_last_not_of(' ', equals - 1) + 1;
      sort_in({text.substr(0, end), mark, std::move(expanded)}, overrides, report);
    } catch (const Error& failure) {
      report.errors.insert(report.errors.end(), failure.problems().begin(),
                           failure.problems().end());
    }
  }
  return overrides;
}

NodePtr with_overrides(const NodePtr& root, const Overrides& overrides, Report& report) {
  NodePtr changed = root;
  for (const Entry& entry : overrides.paths) {
    const auto [section, rest] = split_once(entry.key);
    // A default, a strategy or the name may be new.
    const bool may_be_new = section != "models" && changed->kind == NodeKind::kMap &&
                            !changed->find(section) && !rest.empty();
    if (may_be_new) {
      auto map = std::make_shared<Node>();
      map->kind = NodeKind::kMap;
      map->mark = entry.mark;
      map->entries.push_back({rest, entry.mark, entry.value});
      changed = with_value(changed, section, {section, entry.mark, map}, "the sweep", report);
    } else {
      changed = with_value(changed, entry.key, entry, "the sweep", report);
    }
  }
  return changed;
}

void require_used(const Overrides& overrides, const std::vector<const ExperimentSchema*>& used,
                  Report& report) {
  std::vector<std::string> experiments;
  std::vector<std::string> fields_of_all;
  for (const ExperimentSchema* schema : used) {
    experiments.push_back(schema->name);
    for (const Field& field : schema->fields) fields_of_all.push_back(field.name);
  }
  for (const auto& [owner, settings] : overrides.settings) {
    std::vector<std::string> fields;
    for (const ExperimentSchema* schema : used) {
      if (!owner.empty() && schema->name != owner) continue;
      for (const Field& field : schema->fields) fields.push_back(field.name);
    }
    for (const auto& [key, entry] : settings) {
      if (std::find(fields.begin(), fields.end(), key) != fields.end()) continue;
      const bool bare = owner == "grid" || owner == "zip";
      const std::string axis = bare ? axis_repair("", owner + "." + key, fields_of_all)
                                    : axis_repair(owner, key, fields);
      if (!axis.empty()) {
        report.error(entry.mark,
                     fmt::format("`{}` is no key of an experiment", bare ? owner + "." + key : key),
                     axis);
      } else if (!owner.empty() && fields.empty()) {
        report.error(entry.mark, fmt::format("the sweep has no experiment `{}`", owner),
                     did_you_mean(owner, experiments));
      } else {
        report.error(entry.mark,
                     owner.empty() ? fmt::format("no experiment of the sweep has a `{}`", key)
                                   : fmt::format("`{}` has no key `{}`", owner, key),
                     nearest_key(key, fields, kListOfKeys));
      }
    }
  }
}

}  // namespace tarflow::sweep
