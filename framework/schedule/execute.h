// Running jobs: one worker process a job.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/schedule/job.h"
#include "framework/schedule/job_folder.h"
#include "framework/schedule/process.h"
#include "framework/schedule/progress.h"

namespace tarflow::schedule {

struct Outcome {
  std::string hash;
  bool ok = false;
  bool interrupted = false;  // run_sweep was asked to end
  std::string reason;        // why it is not ok
  std::filesystem::path log;
  std::vector<std::string> log_end;  // the last lines the worker printed in this attempt
};

// Runs `worker JOBDIR` for the job in `folder` and waits. The folder gets job.json, log.txt
// (appended), attempts.jsonl with one line more, and the worker's result.h5; what a dead attempt
// left half-written is removed. A worker that fails, or whose result is not whole, is an Outcome
// and not an error. Throws Error when the folder cannot be written or the worker not started.
Outcome execute(const Job& job, const JobFolder& folder, const std::filesystem::path& worker,
                const HeldSignals& signals, Progress& progress);

// The last `count` lines of a text file from byte `offset` on.
std::vector<std::string> last_lines(const std::filesystem::path& file, uintmax_t offset,
                                    size_t count);

}  // namespace tarflow::schedule
