// The allocation of Slurm's that this process runs in, and how a job's ranks are started in it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framework/job/device.h"
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

// What one job has of its allocation.
struct Part {
  size_t of = 1;                    // jobs that run at once
  std::optional<std::string> gpus;  // as CUDA_VISIBLE_DEVICES names them; nothing: all that it has
  bool numbered = true;             // see job::VisibleGpus
};
// A part for each job that runs at once. A node with fewer GPUs than the profile states has fewer.
std::vector<Part> parts_of(const Submission& submission, const job::VisibleGpus& visible);
// The same, of this process's GPUs where several jobs run at once. `notes`: for the task's output.
// Throws Error for a CUDA_VISIBLE_DEVICES that names what is no GPU.
std::vector<Part> parts_of(const Submission& submission, std::vector<std::string>& notes);

// One rank is started as it is, several by srun, which is looked for in PATH. Where several jobs
// run at once, and with `executor: command`, run_job starts its ranks itself: steps of srun would
// need Slurm to deal the GPUs and the CPUs of the allocation to them, and it does not know the GPUs
// of a node that it gives as a whole (`gpu_request: none`). Throws Error.
job::Launch launch_of(const Submission& submission, const Allocated& place, const Part& part,
                      bool timed);

// Puts the task back into the queue, unless it is being ended already: then somebody cancelled it,
// or Slurm itself sees to it. Returns why it is not in the queue, "" when it is.
std::string requeue(const Allocated& place, const Ask& ask = ask_program);

// How often the kernel killed a process of this one's control groups because memory ran out;
// nothing where that is not told.
std::optional<int64_t> oom_kills();

}  // namespace tarflow::slurm
