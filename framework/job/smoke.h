// --smoke: any sweep end to end with two images a point, whatever files are absent.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/core/json.h"
#include "framework/job/job.h"
#include "framework/sweep/sweep.h"

namespace tarflow::job {

inline constexpr int64_t kSmokeImages = 2;

struct Smoke {
  sweep::Sweep sweep;  // named <name>-smoke
  // {"num_images": 2, "untrained": [models], "small": [models], "pictures": [fields], "dropped":
  // [fields]}: what is not as the sweep states it. Goes into every job.
  Json replaced;
  std::vector<std::string> messages;  // the same for people
  // Stand-ins that are not there since nothing was to be written, absolute, each with what tells it
  // from others.
  std::map<std::filesystem::path, std::string> unwritten = {};
};

// Whether stand-ins are written. A look writes nothing: it takes those that a run has left, and
// plans with the names of others.
enum class Writes { kYes, kNo };

// What stands in for an absent checkpoint.
enum class StandIn {
  kFull,   // an untrained one of its shape
  kSmall,  // one with its tokens, blocks and classes, but one layer of one head: a CPU runs it soon
};

std::string smoke_name(const std::string& sweep);  // "demo-smoke"

// The sweep with at most two images per point. In `folder`: untrained/ gets a checkpoint for each
// absent one (an existing one of that shape is used again), pictures/ a few synthetic images for a
// required image folder (a field `images`) that is absent. Other absent files of optional fields
// are dropped; points that require one are left out, which the messages say. Points that become
// equal run once. Throws Error when no point is left.
Smoke make_smoke(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                 const std::filesystem::path& folder, StandIn stand_in,
                 Writes writes = Writes::kYes);

// What is printed before a smoke run or a look at one: that it is one, and what was replaced.
std::string smoke_banner(const Smoke& smoke, const std::filesystem::path& results);

// "will take roughly 1:40 (11 jobs)".
std::string smoke_time_text(const Jobs& jobs, const ExperimentSchemas& schemas, bool cpu);
// Seconds that the jobs of a smoke run take, roughly: starting, and each evaluation of a layer.
// `cpu` says whether they run on one.
double smoke_seconds(const Jobs& jobs, const ExperimentSchemas& schemas, bool cpu);

}  // namespace tarflow::job
