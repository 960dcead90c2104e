// A sweep file (YAML) as validated, plain values.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/experiment.h"
#include "framework/core/json.h"
#include "framework/core/shape.h"

namespace tarflow::sweep {

// An entry under `models:`.
struct Model {
  std::string name;
  std::filesystem::path checkpoint;  // resolved, absolute
  bool present = false;              // the file is there
  ModelShape shape;                  // from the file; from name and YAML when it is absent
  std::string published;             // who publishes the file and where; may be empty
  Place place;
};

// One row of results.
struct Point {
  std::string experiment;
  // Every field of the experiment by name, defaults filled in, absent optional fields left out.
  // Numbers are doubles, integers int64; strategies as to_json(Strategy); models by name; paths
  // absolute strings.
  Json settings;
  std::string id;  // short_hash of experiment, revision and the settings with Identity::kValue
  Place place;     // of the experiment's entry in the YAML file
};

struct Sweep {
  std::string name;            // results go to results/<name>.h5
  std::filesystem::path file;  // absolute
  std::map<std::string, Model> models;
  std::vector<Point> points;  // in the order of the file, grids in row-major order; no id twice
  std::vector<Problem> warnings;
  // Files that some points need and that are absent: such points cannot run. Filled instead of
  // throwing when LoadOptions::allow_missing.
  std::vector<Problem> missing;
};

struct LoadOptions {
  // Report absent checkpoints, statistics and image folders in Sweep::missing instead of throwing.
  bool allow_missing = false;
};

// Reads, validates and expands. Everything wrong is thrown as one Error with all problems, each
// located.
Sweep load_sweep(const std::filesystem::path& file, const ExperimentSchemas& schemas,
                 const LoadOptions& options = {});

// point id of settings as above; `settings` may hold fields of any identity.
std::string point_id(const ExperimentSchema& schema, const Json& settings);

}  // namespace tarflow::sweep
