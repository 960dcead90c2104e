#include "framework/sweep/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "framework/sweep/identity.h"
#include "framework/sweep/scalars.h"

namespace tarflow::sweep {
namespace {

// One legal value of a field.
struct Value {
  SettingPtr setting;
  std::string identity;
  Mark mark;
};

// A field of the experiment and the values it takes: one, or several along an axis of the grid.
struct Axis {
  const Field* field = nullptr;
  std::vector<NodePtr> nodes;
  size_t stride = 0;  // 0: not in the grid; else points between one value and the next, row-major
  // [model][value]; one row when the field does not depend on the model.
  std::vector<std::vector<Value>> values;

  // Every node is a legal value, for every model.
  bool complete() const {
    return std::all_of(values.begin(), values.end(),
                       [&](const auto& row) { return row.size() == nodes.size(); });
  }

  const Value& at(size_t point, size_t model) const {
    const auto& row = values.size() == 1 ? values[0] : values[model];
    return row[stride == 0 ? 0 : (point / stride) % row.size()];
  }
};

// What an experiment's entry states, before any value is read.
struct Statements {
  const ExperimentSchema& schema;
  const Entry& entry;
  const Node* own = nullptr;  // nullptr: nothing stated
  const Node* grid = nullptr;
  const Node* defaults = nullptr;
};

std::vector<std::string> keys_of(const ExperimentSchema& schema) {
  std::vector<std::string> keys;
  for (const Field& field : schema.fields) keys.push_back(field.name);
  return keys;
}

// Takes the entry apart: unknown keys, and keys both plain and in the grid, are reported.
Statements take_apart(const ExperimentSchema& schema, const Entry& entry, const Node* defaults,
                      Report& report) {
  Statements statements{schema, entry, nullptr, nullptr, defaults};
  if (entry.value->kind == NodeKind::kNull || !read_map(*entry.value, entry.key, report))
    return statements;
  statements.own = entry.value.get();
  std::vector<std::string> keys = keys_of(schema);
  const Entry* grid = statements.own->find("grid");
  if (grid && read_map(*grid->value, "grid", report)) {
    statements.grid = grid->value.get();
    require_keys(*statements.grid, fmt::format("the grid of `{}`", schema.name), keys, report);
    for (const Entry& axis : statements.grid->entries) {
      const Entry* plain = axis.key == "grid" ? nullptr : statements.own->find(axis.key);
      if (!plain) continue;
      report.error(
          axis.mark,
          fmt::format("`{}` is in the grid and also set on line {}", axis.key, plain->mark.line),
          "keep one of them");
    }
  }
  keys.push_back("grid");
  require_keys(*statements.own, fmt::format("`{}`", schema.name), keys, report);
  return statements;
}

// The nodes of a field's values: its own, its axis of the grid, the file's default, the schema's;
// nothing when the field is absent.
std::optional<Axis> find_setting(const Field& field, const Statements& statements, Report& report) {
  Axis setting;
  setting.field = &field;
  const auto stated = [&](const Node* map) { return map ? map->find(field.name) : nullptr; };
  if (const Entry* axis = stated(statements.grid)) {
    const Node* list = read_list(*axis->value, field.name, report);
    if (!list) return std::nullopt;
    setting.nodes = list->items;
    setting.stride = 1;
  } else if (const Entry* own = stated(statements.own)) {
    setting.nodes = {own->value};
  } else if (const Entry* shared = stated(statements.defaults)) {
    setting.nodes = {shared->value};
  } else if (!field.default_value.is_null() && field.default_value != "") {
    setting.nodes = {node_of(field.default_value, statements.entry.mark)};
  } else {
    if (field.required) {
      report.error(statements.entry.mark,
                   fmt::format("`{}` needs `{}`", statements.schema.name, field.name),
                   fmt::format("{}: {}", field.name, field.description));
    }
    return std::nullopt;
  }
  return setting;
}

// Drops values that an axis lists twice, with a warning each.
void drop_repeated(Axis& setting, Report& report) {
  if (setting.nodes.size() < 2 || !setting.complete()) return;
  std::map<std::string, size_t> seen;
  std::vector<std::vector<Value>> kept(setting.values.size());
  std::vector<NodePtr> nodes;
  for (size_t i = 0; i < setting.nodes.size(); ++i) {
    std::string text;
    for (const auto& row : setting.values) {
      text += row[i].identity.empty() ? row[i].setting->text : row[i].identity;
    }
    const auto [first, is_new] = seen.emplace(std::move(text), i);
    if (!is_new) {
      report.warn(
          setting.nodes[i]->mark,
          fmt::format("this `{}` is the same as value {} of the list, on line {}; it is run once",
                      setting.field->name, first->second + 1,
                      setting.nodes[first->second]->mark.line));
      continue;
    }
    nodes.push_back(setting.nodes[i]);
    for (size_t model = 0; model < kept.size(); ++model) {
      kept[model].push_back(std::move(setting.values[model][i]));
    }
  }
  setting.values = std::move(kept);
  setting.nodes = std::move(nodes);
}

// Reads the values of a setting, each once.
void read_values(Axis& setting, const Surroundings& surroundings,
                 const std::vector<std::optional<FlowSize>>& flows, Report& report) {
  const bool by_model = setting.field->type == FieldType::kStrategy;
  setting.values.resize(by_model ? flows.size() : 1);
  for (size_t model = 0; model < setting.values.size(); ++model) {
    for (const NodePtr& node : setting.nodes) {
      auto json = read_field(*setting.field, *node, surroundings, flows[model], report);
      if (!json) continue;
      std::string identity = identity_text(*setting.field, *json);
      setting.values[model].push_back(
          {make_setting(setting.field->name, std::move(*json)), std::move(identity), node->mark});
    }
  }
  drop_repeated(setting, report);
}

// In tables a strategy is known by its name, so that one name means one strategy for a model.
void require_distinct_names(const Axis& setting, const std::string& experiment, const Axis* models,
                            Report& report, Expansion& expansion) {
  for (size_t model = 0; model < setting.values.size(); ++model) {
    const std::string model_name =
        models ? models->values[0][model].setting->value.get<std::string>() : "";
    for (const Value& value : setting.values[model]) {
      const std::string name = value.setting->value.at("name").get<std::string>();
      const auto [known, is_new] =
          expansion.strategies.emplace(fmt::format("{}\n{}\n{}", experiment, model_name, name),
                                       std::pair(value.identity, value.mark));
      if (is_new || known->second.first == value.identity) continue;
      report.error(value.mark,
                   fmt::format("this strategy is called `{}`, as the different one on line {}",
                               name, known->second.second.line),
                   "give one of them a `label`: {name: ..., label: ...}");
    }
  }
}

// Sets the strides of the axes, the last of the grid varying fastest. Returns the number of points,
// 0 when there are too many.
size_t lay_out(const Node* grid, std::vector<Axis>& settings, Report& report,
               size_t points_before) {
  size_t points = 1;
  if (!grid) return points;
  for (auto axis = grid->entries.rbegin(); axis != grid->entries.rend(); ++axis) {
    for (Axis& setting : settings) {
      if (setting.field->name != axis->key) continue;
      setting.stride = points;
      points *= setting.values[0].size();  // both factors are below 1e6
    }
    if (points_before + points > kMaxPoints) {
      report.error(grid->mark, fmt::format("the sweep has more than {} points", kMaxPoints),
                   "split it into several files");
      return 0;
    }
  }
  return points;
}

// Warnings about points that are already there, one for each earlier experiment that has them.
void warn_of_repeats(const std::map<size_t, size_t>& repeats, Mark mark, Report& report,
                     const Expansion& expansion) {
  for (const auto& [owner, count] : repeats) {
    const Mark first = expansion.entries[owner];
    report.warn(
        mark, first == mark
                  ? fmt::format(
                        "{} points of this experiment repeat others of its grid; they are run once",
                        count)
                  : fmt::format("{} points of this experiment are already in the one on line {}; "
                                "they are run once",
                                count, first.line));
  }
}

// `settings` are sorted by name and complete.
void add_points(const ExperimentSchema& schema, const std::vector<Axis>& settings,
                const Axis* models, size_t count, Mark mark, Report& report, Expansion& expansion) {
  const size_t own = expansion.entries.size();
  expansion.entries.push_back(mark);
  const auto place = std::make_shared<const Place>(report.document.problem(mark, "").place);
  expansion.points.reserve(expansion.points.size() + count);
  expansion.owners.reserve(expansion.points.size() + count);
  expansion.by_id.reserve(expansion.points.size() + count);
  std::map<size_t, size_t> repeats;
  std::vector<IdentityPart> parts(settings.size());
  for (size_t i = 0; i < count; ++i) {
    const size_t model =
        models && models->stride ? (i / models->stride) % models->values[0].size() : 0;
    for (size_t k = 0; k < settings.size(); ++k) {
      parts[k] = {&settings[k].field->name, &settings[k].at(i, model).identity};
    }
    std::string id = point_id_of(schema, parts);
    const auto [known, is_new] = expansion.by_id.emplace(id, expansion.points.size());
    if (!is_new) {
      ++repeats[expansion.owners[known->second]];
      continue;
    }
    Settings values;
    values.reserve(settings.size());
    for (const Axis& setting : settings) values.set(setting.at(i, model).setting);
    expansion.points.push_back({schema.name, std::move(values), std::move(id), place});
    expansion.owners.push_back(own);
  }
  warn_of_repeats(repeats, mark, report, expansion);
}

}  // namespace

void expand_experiment(const ExperimentSchema& schema, const Entry& entry, const Node* defaults,
                       const Surroundings& surroundings, Report& report, Expansion& expansion) {
  const size_t errors_before = report.errors.size();
  const Statements statements = take_apart(schema, entry, defaults, report);
  std::vector<Axis> settings;
  for (const Field& field : schema.fields) {
    if (defaults && defaults->find(field.name)) expansion.defaults_used[field.name] = true;
    if (auto setting = find_setting(field, statements, report))
      settings.push_back(std::move(*setting));
  }
  std::sort(settings.begin(), settings.end(),
            [](const Axis& a, const Axis& b) { return a.field->name < b.field->name; });
  const auto found = std::find_if(settings.begin(), settings.end(), [](const Axis& setting) {
    return setting.field->type == FieldType::kModel;
  });
  Axis* models = found == settings.end() ? nullptr : &*found;
  std::vector<std::optional<FlowSize>> flows;
  if (models) {
    read_values(*models, surroundings, {std::nullopt}, report);
    for (const Value& value : models->values[0]) {
      flows.push_back(surroundings.models.at(value.setting->value.get<std::string>()).flow());
    }
  }
  if (flows.empty()) flows.push_back(std::nullopt);  // strategies are checked as far as they go
  for (Axis& setting : settings) {
    if (&setting != models) read_values(setting, surroundings, flows, report);
  }
  if (report.errors.size() != errors_before) return;
  // A strategy is incomplete without an error when its model is at fault, which has been reported.
  const auto complete = [](const Axis& setting) { return setting.complete(); };
  if (!std::all_of(settings.begin(), settings.end(), complete)) return;
  for (const Axis& setting : settings) {
    if (setting.field->type == FieldType::kStrategy) {
      require_distinct_names(setting, schema.name, models, report, expansion);
    }
  }
  const size_t count = lay_out(statements.grid, settings, report, expansion.points.size());
  if (report.errors.size() != errors_before) return;
  add_points(schema, settings, models, count, entry.mark, report, expansion);
}

}  // namespace tarflow::sweep
