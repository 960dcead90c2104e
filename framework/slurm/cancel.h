// Taking some of a sweep's points back from Slurm, and what Slurm must keep.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/process/lease.h"

namespace tarflow::slurm {

struct TakenBack {
  size_t jobs = 0;                   // that will not run, or end now
  std::vector<std::string> refused;  // why others that have some of the points go on
};

// Why a job of which only some points are named is not cancelled.
std::string shared_reason(const std::string& hash);

// Ends the tasks of which all unfinished points are in `points` (ids), and waits until they are
// gone. A task ends as a whole, so that one with further points goes on. `silent`: see
// process::LeaseFile. Throws Error, LeaseHeld while a run_sweep is at work.
TakenBack cancel_some_on_slurm(const std::filesystem::path& sweep_folder, const std::string& name,
                               const std::set<std::string>& points, const std::string& command,
                               const std::optional<process::LeaseHolder>& silent = {});

// Hashes of the jobs of submissions that are not known to be over; Slurm is not asked. Throws Error
// when a submission cannot be read.
std::set<std::string> jobs_with_slurm(const std::filesystem::path& sweep_folder);
// How many of these have one of the points.
size_t named_with_slurm(const std::filesystem::path& sweep_folder,
                        const std::set<std::string>& points);

}  // namespace tarflow::slurm
