// What points whose files are absent would run as, for its time.
#pragma once

#include <vector>

#include "framework/core/experiment.h"
#include "framework/job/device.h"
#include "framework/job/job.h"
#include "framework/sweep/sweep.h"

namespace tarflow::job {

// The jobs of the selected ones of `points`, as their files would make them. Hashes and keys are
// not those that the jobs will have, since the contents of files are not known; no file is read.
Jobs absent_jobs(const sweep::Sweep& sweep, const std::vector<sweep::Point>& points,
                 const ExperimentSchemas& schemas, const DeviceModels& devices);

// Of points that --only may have left out.
size_t selected_count(const std::vector<sweep::Point>& points);

}  // namespace tarflow::job
