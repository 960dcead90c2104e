// A sweep file (YAML) as validated, plain values.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/experiment.h"
#include "framework/core/json.h"
#include "framework/core/shape.h"
#include "framework/sweep/run_settings.h"
#include "framework/sweep/settings.h"

namespace tarflow::sweep {

// An entry under `models:`.
struct Model {
  std::string name;
  std::filesystem::path checkpoint;  // resolved, absolute; "" with random weights and no name
  // Seed of weights that are drawn, not read: the checkpoint's name tells the shape at most.
  std::optional<int64_t> random_weights;
  // Which model of a file that holds several; "" where it holds one, or is absent and none is
  // named.
  std::string weights;
  bool present = false;   // the file is there, or none is needed
  bool trained = false;   // an experiment of the sweep makes the file
  ModelShape shape;       // from the file; from name and YAML when it is absent
  std::string published;  // who publishes the file and where; may be empty
  Place place;
};

RunSettingsPtr default_run_settings();

// One row of results.
struct Point {
  std::string experiment;
  // Every field of the experiment by name, defaults filled in, absent optional fields left out.
  // Numbers are doubles, integers int64; strategies as to_json(Strategy); models by name; paths
  // absolute strings.
  Settings settings;
  std::string id;  // short_hash of experiment, revision and the settings with Identity::kValue
  std::shared_ptr<const Place> place;  // of the experiment's entry in the YAML file
  RunSettingsPtr run = default_run_settings();
  bool selected = true;  // LoadOptions::only leaves it to be run; its results are kept all the same
};

struct Sweep {
  std::string name;            // results go to results/<name>.h5
  std::filesystem::path file;  // absolute
  std::map<std::string, Model> models;
  std::vector<Point> points;  // in the order of the file, grids in row-major order; no id twice
  // Files that one point makes and others read, absolute, with the id of the one that makes them.
  std::map<std::filesystem::path, std::string> makers;
  std::vector<Problem> warnings;
  // Files that some points need and that are absent: such points cannot run. Filled instead of
  // throwing when LoadOptions::allow_missing.
  std::vector<Problem> missing;
};

// What the files that a sweep names say of themselves, as far as the caller can tell.
struct ReferenceFacts {
  int64_t features = 0;    // width; 0: unknown
  int64_t image_size = 0;  // side its images were resized to; 0: unknown
  std::string extractor;   // SHA-256 of the extractor's file; "": unknown
};
// Of images that points read.
struct ImageFacts {
  std::vector<std::string> broken;    // links that lead nowhere
  std::vector<std::string> warnings;  // what is left out, a sentence each
  int64_t count = 0;                  // images; 0: unknown
  int64_t classes = 0;                // class folders, or labels of .npz batches; 0: no labels
  bool batches = false;               // the images are in .npz files
};
struct FileFacts {
  // Of statistics of image features; nothing for folders and what it cannot read.
  std::function<std::optional<ReferenceFacts>(const std::filesystem::path&)> reference;
  // Width of the features an extractor makes of images with this side.
  std::function<std::optional<int64_t>(const std::filesystem::path&, int64_t image_size)> features;
  std::function<std::string(const std::filesystem::path&)> sha256;
  // Of images, listed with a `layout` ("": none is stated). Nothing for a reference that is no
  // images. Throws Error when they cannot be read as images.
  std::function<std::optional<ImageFacts>(const std::filesystem::path&, FileKind,
                                          const std::string& layout)>
      images = {};
};

struct LoadOptions {
  // Report absent checkpoints, statistics and image folders in Sweep::missing instead of throwing.
  bool allow_missing = false;
  std::vector<std::string> set = {};   // "key=value", the value in YAML
  std::vector<std::string> only = {};  // "key=value": conditions for Point::selected
  std::vector<std::filesystem::path> preset_folders =
      {};                // searched for `use:` after the file's own
  FileFacts facts = {};  // what is empty is not checked
};

// Reads, validates and expands. Everything wrong is thrown as one Error with all problems, each
// located.
Sweep load_sweep(const std::filesystem::path& file, const ExperimentSchemas& schemas,
                 const LoadOptions& options = {});

// point id of settings as above; `settings` may hold fields of any identity.
std::string point_id(const ExperimentSchema& schema, const Settings& settings);

}  // namespace tarflow::sweep
