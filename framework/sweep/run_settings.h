// How the jobs of a sweep are run: the `run:` part of a sweep file. Nothing here changes results.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "framework/core/error.h"

namespace tarflow::sweep {

// Where a key of `run:` is stated, for messages; "" and no place: nowhere. Settings are equal
// wherever they stand.
struct StatedAt {
  Place place;
  std::string source_line;
  bool operator==(const StatedAt&) const { return true; }
};

struct RunSettings {
  // GPUs of a job on each of its nodes, a process each. 1: one where there are any; 0: the CPU.
  int64_t gpus = 1;
  int64_t nodes = 1;         // machines of a job; above 1 on a cluster only
  int64_t ranks = 1;         // processes of a job on each of its nodes where gpus is 0
  int64_t jobs_per_gpu = 1;  // untimed jobs that may share one GPU
  int64_t workers = 1;       // jobs at once on a machine without GPUs
  int64_t threads = 0;       // CPU threads a process; 0: the cores divided among the processes
  int64_t retries = 0;       // further attempts of a job that failed
  double backoff = 10;       // seconds before the first of them, doubled for each further one
  bool fail_fast = false;    // stop the sweep at the first job that fails for good
  double time_limit = 0;     // seconds an attempt may take; 0: no limit
  bool exclusive = true;     // timed jobs have their device to themselves
  // Bytes of all arrays that the sweep's record holds itself (record::merge); 0: of none.
  int64_t merge_limit = 1'000'000'000;
  StatedAt gpus_at, nodes_at;
  bool operator==(const RunSettings&) const = default;

  int64_t processes_per_node() const { return gpus > 0 ? gpus : ranks; }
  int64_t processes() const { return nodes * processes_per_node(); }  // of a job
};
using RunSettingsPtr = std::shared_ptr<const RunSettings>;  // never null

}  // namespace tarflow::sweep
