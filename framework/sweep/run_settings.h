// How the jobs of a sweep are run: the `run:` part of a sweep file. Nothing here changes results.
#pragma once

#include <cstdint>
#include <memory>

namespace tarflow::sweep {

struct RunSettings {
  int64_t gpus = 1;          // 1: each job gets a GPU where there are any; 0: the CPU
  int64_t jobs_per_gpu = 1;  // untimed jobs that may share one GPU
  int64_t workers = 1;       // jobs at once on a machine without GPUs
  int64_t threads = 0;       // CPU threads a worker; 0: the cores divided among the workers
  int64_t retries = 0;       // further attempts of a job that failed
  double backoff = 10;       // seconds before the first of them, doubled for each further one
  bool fail_fast = false;    // stop the sweep at the first job that fails for good
  double time_limit = 0;     // seconds an attempt may take; 0: no limit
  bool exclusive = true;     // timed jobs have their device to themselves
  bool operator==(const RunSettings&) const = default;
};
using RunSettingsPtr = std::shared_ptr<const RunSettings>;  // never null

}  // namespace tarflow::sweep
