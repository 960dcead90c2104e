#include "framework/sweep/only.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "framework/core/strategy.h"
#include "framework/sweep/conditions.h"
#include "framework/sweep/overrides.h"

namespace tarflow::sweep {
namespace {

constexpr size_t kShownValues = 20;
constexpr const char* kForm =
    "write key=value, key=a,b, key!=value, key>=1, key<=1, key>1 or key<1";

struct Operator {
  const char* text;
  const char* test;  // of a condition; "" for =
};
// Longer ones first.
constexpr std::array<Operator, 6> kOperators{
    {{"!=", "not"}, {">=", "min"}, {"<=", "max"}, {"=", ""}, {">", "above"}, {"<", "below"}}};

struct Parsed {
  std::string text;
  std::string key;
  Mark mark;
  NodePtr condition;  // a map as `exclude` has it
};

NodePtr map_of(const std::string& key, Mark mark, NodePtr value) {
  auto map = std::make_shared<Node>();
  map->kind = NodeKind::kMap;
  map->mark = mark;
  map->entries.push_back({key, mark, std::move(value)});
  return map;
}

// The tree with all places in a source.
NodePtr in_source(const Node& node, int source) {
  auto copy = std::make_shared<Node>(node);
  copy->mark.source = source;
  for (NodePtr& item : copy->items) item = in_source(*item, source);
  for (Entry& entry : copy->entries) {
    entry.mark.source = source;
    entry.value = in_source(*entry.value, source);
  }
  return copy;
}

std::optional<Parsed> parse(const std::string& text, Sources& sources, Report& report) {
  const size_t at = text.find_first_of("=!<>");
  const Operator* found = nullptr;
  for (const Operator& candidate : kOperators) {
    if (at != std::string::npos && !found &&
        text.compare(at, std::string_view(candidate.text).size(), candidate.text) == 0) {
      found = &candidate;
    }
  }
  const size_t begin = found ? at + std::string_view(found->text).size() : text.size();
  const bool lists = found && (*found->test == '\0' || std::string_view(found->test) == "not");
  std::string yaml = std::string(begin, ' ') + text.substr(begin);
  if (lists) {
    yaml[begin - 1] = '[';
    yaml += ']';
  }
  int source = 0;
  try {
    const NodePtr value = parse_argument(text, yaml, "--only", sources, source);
    const Mark mark{1, 1, source};
    if (!found || at == 0) {
      report.error(mark, fmt::format("`{}` is not a condition", text), kForm);
      return std::nullopt;
    }
    const std::string key = text.substr(0, text.find_last_not_of(' ', at - 1) + 1);
    NodePtr tests = in_source(*value, source);
    if (*found->test) tests = map_of(found->test, mark, std::move(tests));
    return Parsed{text, key, mark, map_of(key, mark, std::move(tests))};
  } catch (const Error& failure) {
    report.errors.insert(report.errors.end(), failure.problems().begin(), failure.problems().end());
    return std::nullopt;
  }
}

const Field* strategy_field(const ExperimentSchema& schema) {
  for (const Field& field : schema.fields) {
    if (field.type == FieldType::kStrategy) return &field;
  }
  return nullptr;
}

// The numbers of a strategy that are columns of the results, as fields.
std::vector<Field> number_fields() {
  const auto field = [](const char* name, FieldType type) {
    Field number;
    number.name = name;
    number.type = type;
    return number;
  };
  return {field("stack", FieldType::kString),       field("segments", FieldType::kInteger),
          field("iterations", FieldType::kInteger), field("else", FieldType::kInteger),
          field("window", FieldType::kInteger),     field("tolerance", FieldType::kNumber)};
}

// `experiment` and the numbers of the experiment's first strategy as fields, so that they are
// tested as others are. A setting or a result of such a name comes first, as in the results.
ExperimentSchema with_columns(const ExperimentSchema& schema) {
  ExperimentSchema extended = schema;
  Field experiment;
  experiment.name = "experiment";
  experiment.type = FieldType::kString;
  extended.fields.push_back(std::move(experiment));
  if (!strategy_field(schema)) return extended;
  for (Field& number : number_fields()) {
    const auto same = [&](const Column& column) { return column.name == number.name; };
    if (!schema.field(number.name) &&
        std::none_of(schema.columns.begin(), schema.columns.end(), same))
      extended.fields.push_back(std::move(number));
  }
  return extended;
}

// The numbers of a strategy by the names of number_fields().
Settings settings_of(const StrategyNumbers& numbers) {
  Settings settings;
  const auto set = [&](const char* name, const auto& value) {
    if (value) settings.set(name, *value);
  };
  set("stack", numbers.stack.empty() ? std::nullopt : std::optional(numbers.stack));
  set("segments", numbers.segments);
  set("iterations", numbers.iterations);
  set("else", numbers.others);
  set("window", numbers.window);
  set("tolerance", numbers.tolerance);
  return settings;
}

class Selector {
 public:
  Selector(const ExperimentSchemas& schemas, const Surroundings& surroundings, Report& report,
           const std::vector<Point>& points)
      : surroundings_(surroundings), report_(report), points_(points) {
    std::set<std::string> names;
    for (const Point& point : points) names.insert(point.experiment);
    for (const ExperimentSchema& schema : schemas) {
      if (!names.contains(schema.name)) continue;
      schemas_.emplace(schema.name, with_columns(schema));
      stated_.emplace(schema.name, &schema);
      experiments_.emplace(schema.name, make_setting("experiment", schema.name));
    }
    std::set<std::pair<int, int>> seen;
    for (const auto& [name, model] : surroundings.models) {
      const auto flow = model.flow();
      if (flow && seen.emplace(flow->blocks, flow->tokens).second) flows_.push_back(*flow);
    }
  }

  // For each point whether it matches; nothing after reporting.
  std::optional<std::vector<bool>> matching(const Parsed& parsed) {
    std::map<std::string, Condition> conditions;
    Report first = report_.fresh();
    std::set<std::string> known;
    for (const auto& [name, schema] : schemas_) {
      for (const Field& field : schema.fields) known.insert(field.name);
      if (!schema.field(parsed.key)) continue;
      Report own = report_.fresh();
      auto condition = read_condition(*parsed.condition, schema, surroundings_, flows_, own);
      if (condition) conditions.emplace(name, std::move(*condition));
      if (first.errors.empty()) first.take_errors(own);
    }
    if (!known.contains(parsed.key)) {
      report_.error(parsed.mark, fmt::format("no experiment of the sweep has a `{}`", parsed.key),
                    did_you_mean(parsed.key, {known.begin(), known.end()}));
      return std::nullopt;
    }
    if (conditions.empty()) {
      report_.take_errors(first);
      return std::nullopt;
    }
    return matching(parsed, conditions);
  }

 private:
  std::optional<std::vector<bool>> matching(const Parsed& parsed,
                                            std::map<std::string, Condition>& conditions) {
    std::vector<bool> result;
    bool any = false;
    for (const Point& point : points_) {
      const auto found = conditions.find(point.experiment);
      const Setting* value = value_of(point, parsed.key);
      const bool held =
          found != conditions.end() && value && found->second.holds([&](size_t) { return value; });
      result.push_back(held);
      any = any || held;
    }
    if (any) return result;
    const std::vector<std::string> values = values_of(parsed.key);
    report_.error(parsed.mark, fmt::format("no point has {}", parsed.text),
                  values.empty() ? fmt::format("no point has a `{}`", parsed.key)
                                 : fmt::format("there are: {}", fmt::join(values, ", ")));
    return std::nullopt;
  }

  const Setting* value_of(const Point& point, const std::string& key) {
    if (key == "experiment") return experiments_.at(point.experiment).get();
    if (const SettingPtr* setting = point.settings.find_shared(key)) return setting->get();
    const ExperimentSchema& schema = *stated_.at(point.experiment);
    const Field* strategy = schema.field(key) ? nullptr : strategy_field(schema);
    const SettingPtr* stated = strategy ? point.settings.find_shared(strategy->name) : nullptr;
    if (!stated || !(*stated)->value.is_object()) return nullptr;
    const auto [numbers, is_new] = numbers_.try_emplace(stated->get());
    if (is_new) numbers->second = settings_of(numbers_of(strategy_from_json((*stated)->value)));
    const SettingPtr* number = numbers->second.find_shared(key);
    return number ? number->get() : nullptr;
  }

  std::vector<std::string> values_of(const std::string& key) {
    std::vector<std::string> values;
    for (const Point& point : points_) {
      const Setting* setting = value_of(point, key);
      if (!setting) continue;
      const Json& value = setting->value;
      std::string text = value.is_object()   ? value.at("name").get<std::string>()
                         : value.is_string() ? value.get<std::string>()
                                             : setting->text;
      if (std::find(values.begin(), values.end(), text) != values.end()) continue;
      values.push_back(values.size() == kShownValues ? "..." : std::move(text));
      if (values.size() > kShownValues) break;
    }
    return values;
  }

  const Surroundings& surroundings_;
  Report& report_;
  const std::vector<Point>& points_;
  std::map<std::string, ExperimentSchema> schemas_;  // of the points, with_columns
  std::map<std::string, const ExperimentSchema*> stated_;
  std::map<std::string, SettingPtr> experiments_;
  std::vector<FlowSize> flows_;
  std::unordered_map<const Setting*, Settings> numbers_;  // of strategies
};

}  // namespace

void select_points(const std::vector<std::string>& texts, const ExperimentSchemas& schemas,
                   const Surroundings& surroundings, Sources& sources, Report& report,
                   std::vector<Point>& points) {
  if (texts.empty()) return;
  Selector selector(schemas, surroundings, report, points);
  const size_t errors_before = report.errors.size();
  std::vector<bool> selected(points.size(), true);
  Mark last;
  for (const std::string& text : texts) {
    const auto parsed = parse(text, sources, report);
    const auto matches = parsed ? selector.matching(*parsed) : std::nullopt;
    if (!matches) continue;
    last = parsed->mark;
    for (size_t i = 0; i < points.size(); ++i) selected[i] = selected[i] && (*matches)[i];
  }
  if (report.errors.size() != errors_before) return;
  if (std::find(selected.begin(), selected.end(), true) == selected.end()) {
    report.error(last, fmt::format("no point matches all of {}", fmt::join(texts, " and ")),
                 "leave one out");
    return;
  }
  for (size_t i = 0; i < points.size(); ++i) points[i].selected = selected[i];
}

}  // namespace tarflow::sweep
