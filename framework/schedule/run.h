// What run_sweep does with its arguments.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tarflow::schedule {

// Exit statuses of run_sweep.
inline constexpr int kAllDone = 0;
inline constexpr int kJobsFailed = 1;
inline constexpr int kBadInput = 2;
inline constexpr int kInterrupted = 130;  // as shells have it for Ctrl-C

struct RunOptions {
  std::vector<std::filesystem::path> files;  // sweeps, run one after another
  std::filesystem::path results = "results";
  // The folder with run_job and analyze, and ../share/experiments.json beside it.
  std::filesystem::path programs;
  bool dry_run = false;    // say what would be done
  bool list_jobs = false;  // one line a job
  bool smoke = false;      // see smoke.h
};

// Runs the sweeps: answers go to stdout, progress and complaints to stderr. Returns the exit
// status. Throws Error for bad input, before anything runs.
int run_sweeps(const RunOptions& options);

}  // namespace tarflow::schedule
