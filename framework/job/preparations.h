// What jobs make once for all before they sample: calibrations of adaptive windows, and tunings of
// strategies that are left open.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/job/device.h"
#include "framework/job/job.h"

namespace tarflow::job {

// Something that the folder `cache` of the sweep's results does not hold.
struct Preparation {
  std::string text;  // what it is and takes, without its time: one sentence without a full stop
  double flops = 0;  // it takes, about
  size_t job = 0;    // the first of the jobs that need it
};

// Of these jobs, each once; `device` is the model of the device that jobs run on where they do not
// say cpu.
std::vector<Preparation> preparations(const Jobs& jobs, const std::filesystem::path& cache,
                                      const std::string& device);

}  // namespace tarflow::job
