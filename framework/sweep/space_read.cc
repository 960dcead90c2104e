#include <fmt/format.h>

#include <algorithm>

#include "framework/sweep/scalars.h"
#include "framework/sweep/several_values.h"
#include "framework/sweep/space.h"
#include "framework/sweep/strategy_axes.h"

namespace tarflow::sweep {
namespace {

const char* name_of(Factor::Kind kind) { return kind == Factor::Kind::kZip ? "zip" : "grid"; }

class SpaceReader {
 public:
  SpaceReader(Values& values, const std::set<size_t>& overridden)
      : values_(values), report_(values.report()), overridden_(overridden) {}

  Space read(const Node& map, const std::string& owner, const std::vector<std::string>& extra) {
    Space space;
    if (!is_filled_map(map, owner, report_)) return space;
    std::vector<std::string> known = field_names();
    known.insert(known.end(), {"grid", "zip", "include", "exclude"});
    known.insert(known.end(), extra.begin(), extra.end());
    if (map.find("when") && std::find(known.begin(), known.end(), "when") == known.end()) {
      report_.error(map.find("when")->mark, "`when` belongs to an entry of `include`",
                    "put it there, or use `exclude`");
      known.push_back("when");
    }
    require_keys(map, owner, known, report_);
    for (const Entry& entry : map.entries) {
      if (entry.key == "grid" || entry.key == "zip") read_group_of(space, entry, map);
    }
    read_plain(space, map);
    if (const Entry* entry = map.find("include")) read_includes(space, *entry);
    if (const Entry* entry = map.find("exclude")) read_excludes(space, *entry);
    return space;
  }

 private:
  std::vector<std::string> field_names() const {
    std::vector<std::string> names;
    for (const Field& field : values_.schema().fields) names.push_back(field.name);
    return names;
  }

  std::optional<size_t> field_index(const std::string& name) const {
    const Field* field = values_.schema().field(name);
    if (!field) return std::nullopt;
    return static_cast<size_t>(field - values_.schema().fields.data());
  }

  void read_group_of(Space& space, const Entry& entry, const Node& map) {
    const auto kind = entry.key == "zip" ? Factor::Kind::kZip : Factor::Kind::kGrid;
    Factor group = read_group(entry, kind, map);
    for (const Factor& earlier : space.factors) require_disjoint(earlier.fields, group.fields);
    space.factors.push_back(std::move(group));
  }

  // Plain settings that no group sets; a local one wins over a used one.
  void read_plain(Space& space, const Node& map) {
    for (const Entry& entry : map.entries) {
      const auto field = field_index(entry.key);
      if (!field || overridden_.contains(*field)) continue;
      const std::pair<const Factor*, Mark> varied = find_varied(space, *field);
      if (!varied.first) {
        const size_t errors = report_.errors.size();
        space.plain[*field] = {values_.add(*field, entry.value), entry.mark};
        give_repair(report_, errors, as_axis(values_.schema().fields[*field], *entry.value));
        continue;
      }
      if (report_.sources.depth(varied.second) < report_.sources.depth(entry.mark)) continue;
      report_.error(
          varied.second,
          fmt::format("`{}` is in the {} and also set on {}", entry.key,
                      name_of(varied.first->kind), report_.sources.line(entry.mark, varied.second)),
          "keep one of them");
    }
  }

  static std::pair<const Factor*, Mark> find_varied(const Space& space, size_t field) {
    for (const Factor& factor : space.factors) {
      const auto found = factor.fields.find(field);
      if (found != factor.fields.end()) return {&factor, found->second};
    }
    return {nullptr, {}};
  }

  void require_disjoint(const std::map<size_t, Mark>& first, const std::map<size_t, Mark>& second) {
    for (const auto& [field, mark] : second) {
      const auto found = first.find(field);
      if (found == first.end()) continue;
      report_.error(
          mark,
          fmt::format("`{}` is varied twice, first on {}", values_.schema().fields[field].name,
                      report_.sources.line(found->second, mark)),
          "keep one of them");
    }
  }

  void add_part(Factor& group, Factor part) {
    require_disjoint(group.fields, part.fields);
    group.fields.insert(part.fields.begin(), part.fields.end());
    group.parts.push_back(std::move(part));
  }

  // `around`: the space whose group it is.
  Factor read_group(const Entry& entry, Factor::Kind kind, const Node& around) {
    Factor group;
    group.kind = kind;
    group.mark = entry.mark;
    group.value_mark = entry.value->mark;
    if (entry.value->kind == NodeKind::kList) {
      if (!read_list(*entry.value, entry.key, report_)) return group;
      for (const NodePtr& item : entry.value->items) add_part(group, read_member(*item, entry.key));
      return group;
    }
    if (!read_map(*entry.value, entry.key, report_)) return group;
    std::vector<std::string> known = field_names();
    known.insert(known.end(), {"grid", "zip"});
    require_keys(*entry.value, fmt::format("the {} of `{}`", entry.key, values_.schema().name),
                 known, report_);
    for (const Entry& part : entry.value->entries) {
      if (part.key == "grid" || part.key == "zip") {
        const auto inner = part.key == "zip" ? Factor::Kind::kZip : Factor::Kind::kGrid;
        add_part(group, read_group(part, inner, around));
      } else if (const auto field = field_index(part.key)) {
        if (auto axis = read_axis(part, *field, around)) add_part(group, std::move(*axis));
      }
    }
    return group;
  }

  // A space in the list of a group.
  Factor read_member(const Node& node, const std::string& group) {
    Factor member;
    member.kind = Factor::Kind::kSpace;
    member.mark = member.value_mark = node.mark;
    member.space = std::make_shared<Space>(read(node, fmt::format("a space in a {}", group), {}));
    collect(*member.space, member.fields);
    return member;
  }

  static void collect(const Space& space, std::map<size_t, Mark>& fields) {
    for (const auto& [field, plain] : space.plain) fields.emplace(field, plain.second);
    for (const Factor& factor : space.factors) {
      fields.insert(factor.fields.begin(), factor.fields.end());
    }
    for (const Include& include : space.includes) collect(*include.space, fields);
  }

  std::optional<Factor> read_axis(const Entry& entry, size_t field, const Node& around) {
    if (overridden_.contains(field)) return std::nullopt;
    const Entry* plain = around.find(entry.key);
    const Sources& sources = report_.sources;
    if (plain && sources.depth(plain->mark) < sources.depth(entry.mark)) return std::nullopt;
    Factor axis;
    axis.mark = entry.mark;
    axis.value_mark = entry.value->mark;
    axis.field = field;
    axis.fields.emplace(field, entry.mark);
    const NamedStrategies& names = values_.surroundings().strategies;
    const bool strategies = values_.schema().fields[field].type == FieldType::kStrategy;
    std::vector<NodePtr> items = {entry.value};  // of a product, which is a list of strategies
    if (!strategies || !is_product(*entry.value, &names)) {
      if (!read_list(*entry.value, entry.key, report_)) return axis;
      items = entry.value->items;
    }
    for (const NodePtr& item : items) {
      if (!strategies) {
        axis.cells.push_back(values_.add(field, item));
        continue;
      }
      for (const NodePtr& one : strategies_of(item, names, report_))
        axis.cells.push_back(values_.add(field, one));
    }
    return axis;
  }

  // A list, or the one entry that it would have.
  std::vector<NodePtr> entries_of(const Entry& entry) {
    if (entry.value->kind == NodeKind::kMap) return {entry.value};
    if (!read_list(*entry.value, entry.key, report_)) return {};
    return entry.value->items;
  }

  void read_includes(Space& space, const Entry& entry) {
    bool beside = false;
    for (const NodePtr& node : entries_of(entry)) {
      Include include;
      include.mark = node->mark;
      include.space = std::make_shared<Space>(read(*node, "an entry of `include`", {"when"}));
      const Entry* when = node->kind == NodeKind::kMap ? node->find("when") : nullptr;
      if (when) include.when = condition(*when->value);
      beside = beside || !when;
      const bool sound = node->kind == NodeKind::kMap && (!when || include.when);
      if (sound) space.includes.push_back(std::move(include));
    }
    space.own_points = !space.factors.empty() || !beside;
  }

  void read_excludes(Space& space, const Entry& entry) {
    for (const NodePtr& node : entries_of(entry)) {
      if (auto read = condition(*node)) space.excludes.push_back(std::move(*read));
    }
  }

  std::optional<Condition> condition(const Node& node) {
    return read_condition(node, values_.schema(), values_.surroundings(), values_.flows(), report_);
  }

  Values& values_;
  Report& report_;
  const std::set<size_t>& overridden_;
};

// Drops values that an axis lists twice, with a warning each.
void drop_repeated(Factor& axis, Values& values) {
  std::map<std::string, size_t> seen;
  std::vector<Cell> kept;
  for (size_t i = 0; i < axis.cells.size(); ++i) {
    const auto text = values.equality_text(axis.field, axis.cells[i]);
    const auto [first, is_new] = text ? seen.emplace(*text, i) : std::pair{seen.end(), true};
    if (is_new) {
      kept.push_back(axis.cells[i]);
      continue;
    }
    const Mark here = values.mark(axis.field, axis.cells[i]);
    values.report().warn(
        here, fmt::format("this `{}` is the same as value {} of the list, on {}{}; it is run once",
                          values.schema().fields[axis.field].name, first->second + 1,
                          values.report().sources.line(
                              values.mark(axis.field, axis.cells[first->second]), here),
                          values.why_equal(axis.field, axis.cells[first->second], axis.cells[i])));
  }
  axis.cells = std::move(kept);
}

// Those of a zip go together with others and stay.
void drop_repeated_in(Factor& factor, bool zipped, Values& values) {
  if (factor.kind == Factor::Kind::kAxis && !zipped) drop_repeated(factor, values);
  if (factor.kind == Factor::Kind::kSpace) drop_repeated(*factor.space, values);
  for (Factor& part : factor.parts) {
    drop_repeated_in(part, factor.kind == Factor::Kind::kZip, values);
  }
}

}  // namespace

void drop_repeated(Space& space, Values& values) {
  for (Factor& factor : space.factors) drop_repeated_in(factor, false, values);
  for (Include& include : space.includes) drop_repeated(*include.space, values);
}

Space read_space(const Node& map, const std::string& owner, const std::vector<std::string>& extra,
                 Values& values, const std::set<size_t>& overridden) {
  return SpaceReader(values, overridden).read(map, owner, extra);
}

}  // namespace tarflow::sweep
