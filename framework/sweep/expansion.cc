#include "framework/sweep/expansion.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "framework/sweep/facts.h"
#include "framework/sweep/guesses.h"
#include "framework/sweep/identity.h"
#include "framework/sweep/scalars.h"
#include "framework/sweep/several_values.h"
#include "framework/sweep/strategy_axes.h"

namespace tarflow::sweep {
namespace {

// An experiment's entry on its way to points.
struct Work {
  const ExperimentSchema& schema;
  const Entry& entry;
  const Outside& outside;
  Values values;
  Space space;
  Rows rows;
};

std::optional<size_t> index_of(const ExperimentSchema& schema, const std::string& name) {
  const Field* field = schema.field(name);
  if (!field) return std::nullopt;
  return static_cast<size_t>(field - schema.fields.data());
}

bool has_entries_beside(const Space& space) {
  return std::any_of(space.includes.begin(), space.includes.end(),
                     [](const Include& include) { return !include.when; });
}

bool is_always_set(const Space& space, size_t field);

bool is_always_set(const Factor& factor, size_t field) {
  if (factor.kind == Factor::Kind::kAxis) return factor.field == field;
  if (factor.kind == Factor::Kind::kSpace) return is_always_set(*factor.space, field);
  return std::any_of(factor.parts.begin(), factor.parts.end(),
                     [&](const Factor& part) { return is_always_set(part, field); });
}

// Every point of the space sets the field itself.
bool is_always_set(const Space& space, size_t field) {
  if (space.plain.contains(field)) return true;
  return !has_entries_beside(space) &&
         std::any_of(space.factors.begin(), space.factors.end(),
                     [&](const Factor& factor) { return is_always_set(factor, field); });
}

// What fields are where the entry says nothing: the file's default, else the schema's.
std::vector<Cell> default_row(Work& work, Report& report) {
  std::vector<Cell> row(work.schema.fields.size(), 0);
  for (size_t i = 0; i < row.size(); ++i) {
    const Field& field = work.schema.fields[i];
    if (work.outside.override_.contains(field.name) || is_always_set(work.space, i)) continue;
    const Node* defaults = work.outside.defaults;
    if (const Entry* shared = defaults ? defaults->find(field.name) : nullptr) {
      const size_t errors = report.errors.size();
      row[i] = work.values.add(i, shared->value);
      give_repair(report, errors, as_axis(field, *shared->value));
    } else if (!field.default_value.is_null() && field.default_value != "") {
      row[i] = work.values.add(i, node_of(field.default_value, work.entry.mark));
    }
  }
  return row;
}

// A list where the field takes none is an axis.
std::vector<NodePtr> override_values(const Field& field, const NodePtr& node, Report& report) {
  if (node->kind != NodeKind::kList) return {node};
  const bool lists = field.type == FieldType::kIntegerList || field.type == FieldType::kNumberList;
  const bool nested = !node->items.empty() && node->items[0]->kind == NodeKind::kList;
  if (lists && !nested) return {node};
  const bool one_strategy = field.type == FieldType::kStrategy && node->items.size() == 1 &&
                            node->items[0]->kind == NodeKind::kScalar;
  if (one_strategy) return {node};
  return read_list(*node, field.name, report) ? node->items : std::vector<NodePtr>{};
}

bool is_known(Work& work, const std::string& strategy) {
  return work.values.surroundings().strategies.contains(strategy);
}

// The row with every combination of the values that --set gives.
Rows contexts(Work& work, Report& report) {
  Rows rows{work.schema.fields.size(), 0, {}};
  rows.add(default_row(work, report).data());
  for (const auto& [name, node] : work.outside.override_) {
    const auto field = index_of(work.schema, name);
    if (!field) continue;
    Rows next{rows.width, 0, {}};
    std::vector<Cell> cells;
    const Field& own = work.schema.fields[*field];
    for (const NodePtr& value : override_values(own, node, report)) {
      const std::string several = as_set_list(own, *value);
      if (own.type == FieldType::kStrategy && !several.empty() && !is_known(work, value->text)) {
        report.error(value->mark, fmt::format("`{}` is several strategies", value->text), several);
        continue;
      }
      const size_t errors = report.errors.size();
      const bool strategy = own.type == FieldType::kStrategy;
      for (const NodePtr& one :
           strategy ? strategies_of(value, work.values.surroundings().strategies, report)
                    : std::vector<NodePtr>{value})
        cells.push_back(work.values.add(*field, one));
      give_repair(report, errors, several);
    }
    for (size_t i = 0; i < rows.count && rows.count * cells.size() <= kMaxPoints; ++i) {
      for (const Cell cell : cells) {
        next.add(rows.row(i));
        next.cells[next.cells.size() - next.width + *field] = cell;
      }
    }
    rows = std::move(next);
  }
  return rows;
}

void find_rows(Work& work, size_t points_before, Report& report) {
  const Rows starts = contexts(work, report);
  drop_repeated(work.space, work.values);
  work.rows.width = starts.width;
  for (size_t i = 0; i < starts.count; ++i) {
    const size_t limit = kMaxPoints - std::min(kMaxPoints, points_before + work.rows.count);
    const Rows more = points_of(work.space, starts.row(i), work.values, limit);
    work.rows.cells.insert(work.rows.cells.end(), more.cells.begin(), more.cells.end());
    work.rows.count += more.count;
  }
}

void require_fields(const Work& work, Report& report) {
  if (report.incomplete) return;
  for (size_t i = 0; i < work.schema.fields.size(); ++i) {
    const Field& field = work.schema.fields[i];
    if (!field.required) continue;
    size_t without = 0;
    for (size_t k = 0; k < work.rows.count; ++k) without += work.rows.row(k)[i] == 0;
    if (without == 0) continue;
    report.error(
        work.entry.mark,
        fmt::format("`{}` needs `{}`{}", work.schema.name, field.name,
                    without == work.rows.count ? ""
                                               : fmt::format(", which {} of its {} points lack",
                                                             without, work.rows.count)),
        fmt::format("{}: {}", field.name, field.description));
  }
}

// In tables a strategy is known by its name, so that one name means one strategy for a model.
void require_distinct_names(Work& work, Report& report, Expansion& expansion) {
  const auto model_field = work.values.model_field();
  for (size_t i = 0; i < work.schema.fields.size(); ++i) {
    if (work.schema.fields[i].type != FieldType::kStrategy) continue;
    std::set<std::pair<Cell, Cell>> seen;
    for (size_t k = 0; k < work.rows.count; ++k) {
      const Cell* row = work.rows.row(k);
      const Cell model = model_field ? row[*model_field] : 0;
      if (row[i] == 0 || !seen.emplace(row[i], model).second) continue;
      const Value& value = *work.values.at(i, row);
      const std::string name = value.setting->value.at("name").get<std::string>();
      const std::string model_name =
          model ? work.values.at(*model_field, row)->setting->value.get<std::string>() : "";
      const auto [known, is_new] = expansion.strategies.emplace(
          fmt::format("{}\n{}\n{}", work.schema.name, model_name, name),
          std::pair(value.identity, value.mark));
      if (is_new || known->second.first == value.identity) continue;
      report.error(value.mark,
                   fmt::format("this strategy is called `{}`, as the different one on {}", name,
                               report.sources.line(known->second.second, value.mark)),
                   "give one of them a `label`: {name: ..., label: ...}");
    }
  }
}

// Every field of every row has a legal value or none.
bool is_complete(Work& work) {
  for (size_t i = 0; i < work.rows.count; ++i) {
    for (size_t field = 0; field < work.rows.width; ++field) {
      if (work.rows.row(i)[field] && !work.values.at(field, work.rows.row(i))) return false;
    }
  }
  return true;
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
                  : fmt::format("{} points of this experiment are already in the one on {}; "
                                "they are run once",
                                count, report.sources.line(first, mark)));
  }
}

// Of points with one id: a file in which they differ although it is what their results come from.
void require_same_files(Work& work, OpenGuesses& guesses, const Cell* row, const Point& earlier,
                        Report& report) {
  for (size_t i = 0; i < work.schema.fields.size(); ++i) {
    const Field& field = work.schema.fields[i];
    if (field.identity != Identity::kContent) continue;
    const Value* value = guesses.is_idle(i, row) ? nullptr : work.values.at(i, row);
    const SettingPtr* other = earlier.settings.find_shared(field.name);
    if (!value && !other) continue;
    if (value && other && value->setting->text == (*other)->text) continue;
    report.error(
        value ? value->mark : work.entry.mark,
        fmt::format("nothing but the {} `{}` tells this point from an earlier one of the sweep",
                    field.shared ? "folder of" : "content of", field.name),
        field.shared ? "give one of the files another name" : "put it into a sweep of its own");
    return;
  }
}

std::vector<size_t> sorted_by_name(const ExperimentSchema& schema) {
  std::vector<size_t> order(schema.fields.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return schema.fields[a].name < schema.fields[b].name; });
  return order;
}

void add_points(Work& work, OpenGuesses& guesses, Report& report, Expansion& expansion) {
  const size_t own = expansion.entries.size();
  const Mark mark = work.entry.mark;
  expansion.entries.push_back(mark);
  const auto place = std::make_shared<const Place>(report.sources.problem(mark, "").place);
  expansion.owners.reserve(expansion.points.size() + work.rows.count);
  expansion.by_id.reserve(expansion.points.size() + work.rows.count);
  const std::vector<size_t> order = sorted_by_name(work.schema);
  std::map<size_t, size_t> repeats;
  std::vector<IdentityPart> parts;
  std::vector<const Value*> values;
  PointIds ids(work.schema);
  for (size_t i = 0; i < work.rows.count; ++i) {
    parts.clear();
    values.clear();
    for (const size_t field : order) {
      const Value* value = work.values.at(field, work.rows.row(i));
      if (!value || guesses.is_idle(field, work.rows.row(i))) continue;
      parts.push_back({&work.schema.fields[field].name, &value->identity});
      values.push_back(value);
    }
    Point point{work.schema.name, {}, ids.id(parts), place, work.outside.run};
    const auto [known, is_new] =
        expansion.by_id.emplace(std::stoull(point.id, nullptr, 16), expansion.points.size());
    if (!is_new) {
      ++repeats[expansion.owners[known->second]];
      require_same_files(work, guesses, work.rows.row(i), expansion.points[known->second], report);
      continue;
    }
    point.settings.reserve(values.size());
    for (const Value* value : values) point.settings.append(value->setting);
    expansion.points.push_back(std::move(point));
    expansion.owners.push_back(own);
  }
  warn_of_repeats(repeats, mark, report, expansion);
}

}  // namespace

void expand_experiment(const ExperimentSchema& schema, const Entry& entry, const Outside& outside,
                       const Surroundings& surroundings, const FileFacts& facts, Report& report,
                       Expansion& expansion) {
  const size_t errors_before = report.errors.size();
  Work work{schema, entry, outside, Values(schema, surroundings, report), {}, {}};
  for (const Field& field : schema.fields) {
    const bool stated = outside.defaults && outside.defaults->find(field.name);
    if (stated) expansion.defaults_used[field.name] = true;
  }
  std::set<size_t> overridden;
  for (const auto& [name, node] : outside.override_) {
    if (const auto field = index_of(schema, name)) overridden.insert(*field);
  }
  if (entry.value->kind != NodeKind::kNull) {
    work.space = read_space(*entry.value, fmt::format("`{}`", schema.name), {"run"}, work.values,
                            overridden);
  }
  find_rows(work, expansion.points.size(), report);
  require_fields(work, report);
  work.values.require_strategies(work.rows);
  if (report.errors.size() != errors_before) return;
  if (!is_complete(work)) return;  // a model or a used file is at fault, which has been reported
  require_distinct_names(work, report, expansion);
  require_pairs(work.rows, work.values);
  warn_of_idle_temperature(work.rows, work.values);
  require_agreement(work.rows, facts, work.values);
  require_known_labels(work.rows, work.values);
  OpenGuesses guesses(work.values);
  guesses.require_images(work.rows, *entry.value);
  require_readable_images(work.rows, facts, guesses, work.values);
  if (report.errors.size() != errors_before) return;
  warn_of_idle_conditions(work.space, report);
  if (work.rows.count == 0) {
    expansion.excluded.push_back({schema.name, conditions_at_work(work.space)});
    return;
  }
  add_points(work, guesses, report, expansion);
}

}  // namespace tarflow::sweep
