// In what two cluster profiles differ, in words.
#pragma once

#include <string>
#include <vector>

#include "framework/slurm/cluster_profile.h"
#include "framework/slurm/submission.h"

namespace tarflow::slurm {

// "time was 10:00, is 20:00", "account was not stated, is tp0": a text for each key whose change
// asks Slurm for something else; names and pauses between questions are left out.
std::vector<std::string> profile_differences(const ClusterProfile& then, const ClusterProfile& now);
// Of the profile with which jobs were submitted: without the nodes that were left out for the
// submission and its own share of max_parallel.
ClusterProfile profile_as_stated(const Submission& submission, const ClusterProfile& now);

}  // namespace tarflow::slurm
