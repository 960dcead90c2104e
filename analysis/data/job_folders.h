// The folders of jobs beside a merged sweep file: what is under way and what failed.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/data/points.h"

namespace tarflow::analysis {

inline constexpr size_t kLastLogLines = 15;
inline constexpr std::chrono::hours kSilence{24};

// A job that is not in the merged file.
struct JobFolderState {
  std::filesystem::path path;
  std::string hash;
  std::string what;  // "evaluate of cifar10, [7-8-4-4]"
  size_t points = 0;
  std::string outcome;  // of the last attempt: "failed", "time limit", "stopped"; "" while it runs
  std::string reason;   // why it is not done
  int attempts = 0;
  std::string start;       // of the last attempt
  std::string progress;    // "sampling 128/256" of a job that runs
  std::string last_lines;  // of its log, where it did not come to its end

  bool failed() const { return outcome == "failed" || outcome == "time limit"; }
};

// How far a sweep is, as run_sweep wrote it into the sweep's folder while it ran.
struct SweepProgress {
  size_t points = 0, done = 0;     // points
  size_t running = 0, failed = 0;  // jobs
  bool over = false;
  std::string updated;  // UTC
};

// Jobs of results/SWEEP/jobs beside results/SWEEP.h5 that the file does not hold, failed ones
// first, then by hash. Damaged files in their folders are passed over, and jobs all of whose points
// have left the sweep.
std::vector<JobFolderState> unmerged_jobs(const Source& source);

// Nothing where the sweep was not watched. One that was not told of for kSilence is over: whoever
// ran it was killed.
std::optional<SweepProgress> sweep_progress(const Source& source);

}  // namespace tarflow::analysis
