// The allocation of Slurm's that this process runs in, and how a job's ranks are started in it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "framework/job/execute.h"
#include "framework/slurm/ask.h"
#include "framework/slurm/submission.h"

namespace tarflow::slurm {

struct Allocated {
  std::string array;  // Slurm's number of the array
  size_t task = 0;    // of it
  int restart = 0;    // how often the task was put back into the queue
  std::string node;   // as Slurm names it
  int64_t cpus = 0;   // of each of Slurm's tasks; 0: not stated
};

using Variable = std::function<std::string(const char*)>;  // "" for one that is not there

// From Slurm's variables. Throws Error that names the one that is missing or no number.
Allocated allocation_from(const Variable& variable);
Allocated this_allocation();

// One rank is started as it is, several by srun, which is looked for in PATH. Throws Error.
job::Launch launch_of(const Submission& submission, const Allocated& place, bool timed);

// Puts the task back into the queue, unless it is being ended already: then somebody cancelled it,
// or Slurm itself sees to it. Returns why it is not in the queue, "" when it is.
std::string requeue(const Allocated& place, const Ask& ask = ask_program);

// How often the kernel killed a process of this one's control groups because memory ran out;
// nothing where that is not told.
std::optional<int64_t> oom_kills();

}  // namespace tarflow::slurm
