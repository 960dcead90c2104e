// Conditions over the settings of a point, as `when`, `exclude` and --only state them.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "framework/sweep/fields.h"
#include "framework/sweep/settings.h"

namespace tarflow::sweep {

// The setting of a field, by its index in the schema; nullptr when the point has none.
using SettingOf = std::function<const Setting*(size_t field)>;

class Condition {
 public:
  Mark mark;           // of the whole condition
  size_t matches = 0;  // points for which counted() held

  bool holds(const SettingOf& setting);
  bool counted(const SettingOf& setting) {
    const bool held = holds(setting);
    matches += held;
    return held;
  }

 private:
  friend class ConditionReader;

  // One value that a setting may have.
  struct Expected {
    bool absent = false;
    std::string text;                // canonical; of a strategy: what it is called
    std::set<std::string> strategy;  // canonical blocks, for every model there is
  };
  struct Test {
    enum class Kind { kOneOf, kNotOneOf, kMin, kMax, kAbove, kBelow };
    Kind kind = Kind::kOneOf;
    std::vector<Expected> values;
    double bound = 0;
  };
  enum class Kind { kAll, kAny, kNot, kField };

  static bool matches_one(const Expected& expected, const Setting* setting);
  static bool passes(const Test& test, const Setting* setting);

  Kind kind_ = Kind::kAll;
  std::vector<Condition> parts_;
  size_t field_ = 0;
  std::vector<Test> tests_;                            // all must pass
  std::unordered_map<const Setting*, bool> outcomes_;  // settings are shared by many points
};

// Reads a map of key -> value | list of values | {not, min, max, above, below}, all of which must
// hold, with `any: [..]`, `all: [..]` and `not: {..}` beside them. Values are those of the fields;
// strategies are compared by what they do or by what they are called. `flows`: of the models there
// are. Everything wrong is reported and nothing returned then.
std::optional<Condition> read_condition(const Node& node, const ExperimentSchema& schema,
                                        const Surroundings& surroundings,
                                        const std::vector<FlowSize>& flows, Report& report);

}  // namespace tarflow::sweep
