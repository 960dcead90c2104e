// Jobs dealt to array tasks: alike needs together, short ones several to a task.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/job/job.h"
#include "framework/slurm/cluster_profile.h"

namespace tarflow::slurm {

// A job on its way to the cluster.
struct QueuedJob {
  const job::Job* job = nullptr;
  bool timed = false;
  std::optional<double> seconds;   // expected
  std::vector<std::string> after;  // Slurm's numbers of tasks that have to end well first
  bool alone = false;              // others wait for it: no other job may make its task fail
  int64_t attempt = 1;             // where something grows with it
};

// An array in the making: what its tasks have in common, and the jobs of each.
struct TaskArray {
  sweep::RunSettings run;
  std::vector<std::string> after;
  int64_t attempt = 1;
  std::vector<std::vector<QueuedJob>> tasks;
};

// In the order of the jobs. A task has up to jobs_per_allocation of them for each that runs at
// once, and up to pack_time of the expected time. `most` tasks an array, at most.
std::vector<TaskArray> arrays_of(const std::vector<QueuedJob>& jobs, const ClusterProfile& profile,
                                 size_t most);

// How many tasks of each array may run at once, so that all arrays of a sweep together keep to
// `max_parallel`: those that fit share it, the next ones wait until all of these have ended.
class Turns {
 public:
  struct Turn {
    int64_t parallel = 0;             // tasks at once; 0: no limit
    std::vector<std::string> behind;  // Slurm's numbers of arrays that have to end first
  };

  // `open` are arrays that were submitted before and may still run.
  Turns(int64_t max_parallel, std::vector<std::string> open);

  // For an array of so many tasks.
  Turn next(size_t tasks);
  // The number that the array with the last turn got.
  void given(const std::string& array) { now_.push_back(array); }

 private:
  int64_t most_, room_;
  std::vector<std::string> before_, now_;  // whose end is waited for, and who shares the room
};

}  // namespace tarflow::slurm
