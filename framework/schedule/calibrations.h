// The calibrations of adaptive windows that jobs will make before they sample.
#pragma once

#include <filesystem>
#include <string>

#include "framework/schedule/job.h"

namespace tarflow::schedule {

// A line for each model and compute type of which a job needs a calibration that the folder `cache`
// of the sweep's results does not hold, with what it costs; "" where there is none.
std::string calibrations_text(const Jobs& jobs, const std::filesystem::path& cache);

}  // namespace tarflow::schedule
