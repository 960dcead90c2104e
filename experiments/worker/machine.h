// The machine a job runs on, as far as the kernel tells: host, processor, memory, load, container.
#pragma once

#include <filesystem>

#include "framework/core/json.h"

namespace tarflow::experiments {

// What it reads; a test has files of its own there.
struct MachineFiles {
  std::filesystem::path proc = "/proc", sys = "/sys";
};

// What stays as it is while a job runs: host, kernel, boot_id, cores, memory_bytes, container and
// slurm where there are such. What cannot be read is left out.
Json machine(const MachineFiles& files = {});
// What changes: load_average over 1, 5 and 15 minutes, and cpu_clock with the governor and the
// current (a mean over cores), lowest and highest frequency in MHz.
Json machine_state(const MachineFiles& files = {});

}  // namespace tarflow::experiments
