// What can be known of a cluster profile before anything is submitted: `run_sweep check`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/slurm/ask.h"
#include "framework/slurm/cluster_profile.h"

namespace tarflow::slurm {

struct Finding {
  enum class Kind { kGood, kUnknown, kBad };
  Kind kind = Kind::kGood;
  std::string text;    // "partition gpu: up, 4 nodes, at most 2-00:00:00"
  std::string repair;  // of a bad one
};

// Partition, GPUs, CPUs and time as `sinfo` shows them, and the account where there is accounting.
// Throws Error when Slurm is not here or does not answer.
std::vector<Finding> check_profile(const ClusterProfile& profile, const std::string& user,
                                   const Patience& patience);

// What sbatch says of the request for jobs of one process and one GPU, which it does not queue
// (--test-only).
Finding test_submission(const ClusterProfile& profile, const Patience& patience);

// Of `executor: command`: whether the programs of its templates are here. Nothing is run.
std::vector<Finding> check_templates(const ClusterProfile& profile, const Patience& patience);

// Writes, renames and removes a file in the folder of results, and names the file system.
std::vector<Finding> check_shared_folder(const std::filesystem::path& results);

// A line a finding, the bad ones with their repair.
std::string findings_text(const std::vector<Finding>& findings);
bool any_bad(const std::vector<Finding>& findings);

}  // namespace tarflow::slurm
