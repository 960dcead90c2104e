// --smoke: any sweep end to end with two images a point, whatever files are absent.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/core/json.h"
#include "framework/sweep/sweep.h"

namespace tarflow::schedule {

inline constexpr int64_t kSmokeImages = 2;

struct Smoke {
  sweep::Sweep sweep;  // named <name>-smoke
  // {"num_images": 2, "untrained": [models], "pictures": [fields], "dropped": [fields]}: what is
  // not as the sweep states it. Goes into every job.
  Json replaced;
  std::vector<std::string> messages;  // the same for people
};

// The sweep with at most two images a point. In `folder`: untrained/ gets a checkpoint of the right
// shape for each absent one (an existing one of that shape is used again), pictures/ a few
// synthetic images for a required image folder (a field `images`) that is absent. Other absent
// files of optional fields are dropped; points that require one are left out, which the messages
// say. Points that become equal run once. Throws Error when no point is left.
Smoke make_smoke(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                 const std::filesystem::path& folder);

}  // namespace tarflow::schedule
