// How far a sweep is, in words and as JSON.
#pragma once

#include <string>
#include <vector>

#include "framework/driver/job_states.h"

namespace tarflow::driver {

// What `status` and `watch` print: a summary in which every point is counted, running jobs with
// their progress, queued ones with what they wait for, failed ones with reason and log.
std::string status_text(const job::Plan& plan, const slurm::ClusterView& cluster = {});

// What `status --json` prints of the points that the conditions `only` chose.
Json status_json(const job::Plan& plan, const slurm::ClusterView& cluster,
                 const std::vector<std::string>& only);

}  // namespace tarflow::driver
