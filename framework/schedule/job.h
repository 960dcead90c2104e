// A job: the points that run at once in one worker process, and what it needs, as plain data in
// job.json.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/schedule/content.h"
#include "framework/sweep/sweep.h"

namespace tarflow::schedule {

// A point of a job.
struct JobPoint {
  std::string id;
  // The id with the contents and the device's model; a point with a known key is done.
  std::string key;
  sweep::Settings settings;        // shared fields only
  Json contents = Json::object();  // as Job::contents, for shared fields that are paths
};

struct Job {
  // Of the keys of its points; so of experiment, revision, settings, file contents, and of the
  // device's model if timed. Not of paths or of the order of points.
  std::string hash;
  std::string experiment;
  sweep::Settings settings;  // what all points have in common
  std::vector<JobPoint> points;
  // Model the points name: {"name", "checkpoint": absolute path, "sha256", "shape"}; null without
  // one.
  Json model;
  Json contents = Json::object();  // field or "checkpoint" -> SHA-256 of the content
  std::string sweep;               // name of the sweep
  Json smoke;                      // null, or what was replaced for --smoke
  // Raised when points are computed again though they were done: the higher one holds.
  int64_t generation = 0;
  // How it is run; not in job.json.
  sweep::RunSettingsPtr run = sweep::default_run_settings();
  bool selected = true;
};

Json to_json(const Job& job);
Job job_from_json(const Json& json);  // throws Error

// Groups points that differ only in shared fields, in the sweep's order. Contents are hashed with a
// cache by path, size and time in `cache_folder`, which keeps none when empty. `device_model` joins
// the hash of timed experiments. Throws Error when a file that a point needs is absent.
std::vector<Job> plan_jobs(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                           const std::string& device_model,
                           const std::filesystem::path& cache_folder);
std::vector<Job> plan_jobs(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                           const std::string& device_model, ContentHasher& hasher);

// The jobs without the points whose keys are in `done`, their hashes renewed; jobs left empty are
// dropped.
std::vector<Job> without_done(const std::vector<Job>& jobs, const std::set<std::string>& done);

// The schema called `name`. Throws Error.
const ExperimentSchema& schema_of(const ExperimentSchemas& schemas, const std::string& name);

// "evaluate model=cifar10 strategy=[7-8-4-4] cfg=1": the experiment, and of `settings` the fields
// named.
std::string label(const std::string& experiment, const sweep::Settings& settings,
                  const std::vector<std::string>& fields);

// Names of the fields in which points of one experiment differ.
std::vector<std::string> varying_fields(const std::vector<sweep::Point>& points,
                                        const ExperimentSchema& schema);

}  // namespace tarflow::schedule
