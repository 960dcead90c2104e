// From an experiment's entry in a sweep file to its points.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "framework/sweep/fields.h"
#include "framework/sweep/space.h"
#include "framework/sweep/sweep.h"

namespace tarflow::sweep {

// What is carried from one experiment of the file to the next.
struct Expansion {
  std::vector<Point> points;
  std::unordered_map<uint64_t, size_t> by_id;  // id as a number -> index in points
  std::vector<size_t> owners;                  // of each point: index in `entries`
  std::vector<Mark> entries;                   // where each experiment stands
  // Experiment, model and name of a strategy -> its blocks and where it stands.
  std::map<std::string, std::pair<std::string, Mark>> strategies;
  std::map<std::string, bool> defaults_used;  // key of `defaults:` -> some experiment has it
  // An experiment of which no point is left, and the conditions that exclude them.
  struct Excluded {
    std::string experiment;
    std::vector<Mark> conditions;
  };
  std::vector<Excluded> excluded;
};

// What holds for an experiment from outside its entry.
struct Outside {
  const Node* defaults = nullptr;            // `defaults:`
  std::map<std::string, NodePtr> override_;  // --set: in the place of all that the entry says
  RunSettingsPtr run;
};

// Adds the points of one experiment. `entry`: its name and its settings. Everything wrong is
// reported and no point is added then.
void expand_experiment(const ExperimentSchema& schema, const Entry& entry, const Outside& outside,
                       const Surroundings& surroundings, const FileFacts& facts, Report& report,
                       Expansion& expansion);

}  // namespace tarflow::sweep
