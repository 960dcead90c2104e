#include "framework/sweep/conditions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "framework/sweep/scalars.h"
#include "framework/sweep/strategy_axes.h"

namespace tarflow::sweep {
namespace {

constexpr std::array kTests = {"not", "min", "max", "above", "below"};

bool is_test(const std::string& key) {
  return std::find(kTests.begin(), kTests.end(), key) != kTests.end();
}

// Whether the map states tests and not a value: only strategies and paths are maps themselves.
bool states_tests(const Node& node, const Field& field) {
  if (node.kind != NodeKind::kMap) return false;
  if (field.type != FieldType::kStrategy && field.type != FieldType::kPath) return true;
  return std::all_of(node.entries.begin(), node.entries.end(),
                     [](const Entry& entry) { return is_test(entry.key); });
}

// The alternatives of a list; a value that is a list itself is one of its own.
std::vector<NodePtr> alternatives(const NodePtr& node, const Field& field) {
  if (node->kind != NodeKind::kList) return {node};
  const bool lists = field.type == FieldType::kIntegerList || field.type == FieldType::kNumberList;
  const bool nested = !node->items.empty() && node->items[0]->kind == NodeKind::kList;
  return lists && !nested ? std::vector{node} : node->items;
}

}  // namespace

bool Condition::matches_one(const Expected& expected, const Setting* setting) {
  if (!setting) return expected.absent;
  if (expected.absent) return false;
  if (!setting->value.is_object()) return setting->text == expected.text;
  const Json& name = setting->value.at("name");
  if (!expected.text.empty() && name == expected.text) return true;
  return !expected.strategy.empty() &&
         expected.strategy.contains(canonical(setting->value.at("blocks")));
}

bool Condition::passes(const Test& test, const Setting* setting) {
  const auto any = [&] {
    return std::any_of(test.values.begin(), test.values.end(),
                       [&](const Expected& value) { return matches_one(value, setting); });
  };
  if (test.kind == Test::Kind::kOneOf) return any();
  if (test.kind == Test::Kind::kNotOneOf) return !any();
  if (!setting || !setting->value.is_number()) return false;
  const double value = setting->value.get<double>();
  switch (test.kind) {
    case Test::Kind::kMin:
      return value >= test.bound;
    case Test::Kind::kMax:
      return value <= test.bound;
    case Test::Kind::kAbove:
      return value > test.bound;
    default:
      return value < test.bound;
  }
}

bool Condition::holds(const SettingOf& setting) {
  const auto part_holds = [&](Condition& part) { return part.holds(setting); };
  switch (kind_) {
    case Kind::kAll:
      return std::all_of(parts_.begin(), parts_.end(), part_holds);
    case Kind::kAny:
      return std::any_of(parts_.begin(), parts_.end(), part_holds);
    case Kind::kNot:
      return !parts_[0].holds(setting);
    case Kind::kField:
      break;
  }
  const Setting* value = setting(field_);
  const auto [outcome, is_new] = outcomes_.try_emplace(value, false);
  if (is_new) {
    outcome->second = std::all_of(tests_.begin(), tests_.end(),
                                  [&](const Test& test) { return passes(test, value); });
  }
  return outcome->second;
}

class ConditionReader {
 public:
  ConditionReader(const ExperimentSchema& schema, const Surroundings& surroundings,
                  const std::vector<FlowSize>& flows, Report& report)
      : schema_(schema), surroundings_(surroundings), flows_(flows), report_(report) {}

  Condition read(const Node& node) {
    Condition condition;
    condition.mark = node.mark;
    if (!is_filled_map(node, "a condition", report_)) return condition;
    std::vector<std::string> known;
    for (const Field& field : schema_.fields) known.push_back(field.name);
    for (const char* word : {"any", "all", "not"}) known.push_back(word);
    require_keys(node, fmt::format("a condition on `{}`", schema_.name), known, report_);
    for (const Entry& entry : node.entries) {
      if (entry.key == "any" || entry.key == "all") {
        condition.parts_.push_back(read_several(entry));
      } else if (entry.key == "not") {
        Condition negation;
        negation.kind_ = Condition::Kind::kNot;
        negation.parts_.push_back(read(*entry.value));
        condition.parts_.push_back(std::move(negation));
      } else if (schema_.field(entry.key)) {
        condition.parts_.push_back(read_field_tests(entry));
      }
    }
    return condition;
  }

 private:
  Condition read_several(const Entry& entry) {
    Condition several;
    several.kind_ = entry.key == "any" ? Condition::Kind::kAny : Condition::Kind::kAll;
    if (!read_list(*entry.value, entry.key, report_)) return several;
    for (const NodePtr& item : entry.value->items) several.parts_.push_back(read(*item));
    return several;
  }

  Condition read_field_tests(const Entry& entry) {
    Condition condition;
    condition.kind_ = Condition::Kind::kField;
    const Field& field = *schema_.field(entry.key);
    condition.field_ = static_cast<size_t>(&field - schema_.fields.data());
    if (!states_tests(*entry.value, field)) {
      condition.tests_.push_back(read_values(field, entry.value, Condition::Test::Kind::kOneOf));
      return condition;
    }
    if (!read_map(*entry.value, entry.key, report_)) return condition;
    require_keys(*entry.value, fmt::format("a test of `{}`", field.name),
                 {kTests.begin(), kTests.end()}, report_);
    for (const Entry& test : entry.value->entries) {
      if (test.key == "not") {
        condition.tests_.push_back(
            read_values(field, test.value, Condition::Test::Kind::kNotOneOf));
      } else if (is_test(test.key)) {
        read_bound(field, test, condition);
      }
    }
    return condition;
  }

  void read_bound(const Field& field, const Entry& entry, Condition& condition) {
    if (field.type != FieldType::kInteger && field.type != FieldType::kNumber) {
      report_.error(entry.mark,
                    fmt::format("`{}` is a {}, of which there is no `{}`", field.name,
                                to_string(field.type), entry.key),
                    "list the values that are meant");
      return;
    }
    Condition::Test test;
    test.kind = entry.key == "min"     ? Condition::Test::Kind::kMin
                : entry.key == "max"   ? Condition::Test::Kind::kMax
                : entry.key == "above" ? Condition::Test::Kind::kAbove
                                       : Condition::Test::Kind::kBelow;
    const auto bound = read_number(*entry.value, entry.key, {}, report_);
    test.bound = bound.value_or(0);
    condition.tests_.push_back(std::move(test));
  }

  Condition::Test read_values(const Field& field, const NodePtr& node, Condition::Test::Kind kind) {
    Condition::Test test;
    test.kind = kind;
    if (node->kind == NodeKind::kList && !read_list(*node, field.name, report_)) return test;
    for (const NodePtr& item : alternatives(node, field)) {
      if (item->kind == NodeKind::kNull) {
        test.values.push_back({true, "", {}});
      } else if (field.type == FieldType::kStrategy) {
        for (const NodePtr& one : strategies_of(item, surroundings_.strategies, report_))
          test.values.push_back(read_strategy_value(*one));
      } else {
        Report own = report_.fresh();  // a file that is missing can still be compared with
        const auto json = read_field(field, *item, surroundings_, std::nullopt, own);
        report_.take_errors(own);
        if (json) test.values.push_back({false, canonical(*json), {}});
      }
    }
    return test;
  }

  // A strategy is legal when some model can have it.
  Condition::Expected read_strategy_value(const Node& node) {
    const NamedStrategies& names = surroundings_.strategies;
    Condition::Expected expected{false, stated_name(node, names), {}};
    Report first = report_.fresh();
    for (const FlowSize& flow : flows_) {
      Report own = report_.fresh();
      if (const auto strategy = read_strategy(node, flow, own, &names)) {
        expected.strategy.insert(canonical(to_json(*strategy).at("blocks")));
      }
      if (first.errors.empty()) first.take_errors(own);
    }
    if (flows_.empty()) read_strategy(node, std::nullopt, first, &names);
    if (!expected.strategy.empty()) return expected;
    if (!expected.text.empty() && is_label(node)) return expected;
    report_.take_errors(first);
    return expected;
  }

  // A text that is no published name may be the label of a strategy.
  bool is_label(const Node& node) const {
    return node.kind == NodeKind::kScalar && !looks_published(node.text);
  }

  const ExperimentSchema& schema_;
  const Surroundings& surroundings_;
  const std::vector<FlowSize>& flows_;
  Report& report_;
};

std::optional<Condition> read_condition(const Node& node, const ExperimentSchema& schema,
                                        const Surroundings& surroundings,
                                        const std::vector<FlowSize>& flows, Report& report) {
  const size_t errors_before = report.errors.size();
  Condition condition = ConditionReader(schema, surroundings, flows, report).read(node);
  if (report.errors.size() != errors_before) return std::nullopt;
  return condition;
}

}  // namespace tarflow::sweep
