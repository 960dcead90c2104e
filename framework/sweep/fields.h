// The values of experiments' fields, from YAML to the JSON of Point::settings.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/sweep/models.h"
#include "framework/sweep/report.h"
#include "framework/sweep/strategy_parse.h"

namespace tarflow::sweep {

// What the values of a sweep file may refer to.
struct Surroundings {
  const std::map<std::string, ModelEntry>& models;
  const NamedStrategies& strategies;
  bool allow_missing = false;                 // LoadOptions::allow_missing
  std::set<std::filesystem::path> made = {};  // files that points of the sweep write
};

// The value as Point::settings holds it. Everything wrong is reported at its place, and absent
// files as missing; nothing is returned then but for missing ones. `flow` is that of the point's
// model, for strategies.
std::optional<Json> read_field(const Field& field, const Node& node,
                               const Surroundings& surroundings,
                               const std::optional<FlowSize>& flow, Report& report);

// A default value of a schema as if it stood at `mark`.
NodePtr node_of(const Json& value, Mark mark);

}  // namespace tarflow::sweep
