// Jobs dealt to array tasks: alike needs together, short ones several to a task.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framework/schedule/cluster_profile.h"
#include "framework/schedule/job.h"

namespace tarflow::schedule {

// A job on its way to the cluster.
struct QueuedJob {
  const Job* job = nullptr;
  bool timed = false;
  std::optional<double> seconds;   // expected
  std::vector<std::string> after;  // Slurm's numbers of tasks that have to end well first
  bool alone = false;              // others wait for it: no other job may make its task fail
};

// An array in the making: what its tasks have in common, and the jobs of each.
struct TaskArray {
  sweep::RunSettings run;
  std::vector<std::string> after;
  std::vector<std::vector<QueuedJob>> tasks;
};

// In the order of the jobs. `most` tasks an array, at most.
std::vector<TaskArray> arrays_of(const std::vector<QueuedJob>& jobs, const ClusterProfile& profile,
                                 size_t most);

}  // namespace tarflow::schedule
