// The `models:` part of a sweep file.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/sweep/paths.h"
#include "framework/sweep/report.h"
#include "framework/sweep/strategy_name.h"
#include "framework/sweep/sweep.h"

namespace tarflow::sweep {

struct ModelEntry {
  Model model;
  Mark mark;                         // of the checkpoint's name
  bool sound = false;                // nothing was wrong with the entry
  std::string written;               // the checkpoint as the file names it
  FoundPath found;                   // where it is, or was looked for
  std::vector<std::string> unknown;  // parts of the shape that neither file, name nor YAML tell

  // K and T, when they are known.
  std::optional<FlowSize> flow() const;
};

// Every entry, faulty ones included; `models` may be nullptr. `trainings`: the points of the sweep
// that train models, for those that are `trained_by` one of them; nothing where these could not be
// read, which is reported elsewhere.
std::map<std::string, ModelEntry> read_models(const Node* models,
                                              const std::optional<std::vector<Point>>& trainings,
                                              Report& report);

// To be called for a model that points use: reports its checkpoint when absent, and what of its
// shape is unknown (of an absent one only if it may be absent).
void require_model(const ModelEntry& entry, bool allow_missing, Report& report);

// "did you mean `models/x.pth`? published by ...; put it into one of a, b"
std::string where_to_get(const std::string& published, const FoundPath& absent);

}  // namespace tarflow::sweep
