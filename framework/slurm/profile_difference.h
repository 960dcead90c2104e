// In what two cluster profiles differ, in words.
#pragma once

#include <string>
#include <vector>

#include "framework/slurm/cluster_profile.h"

namespace tarflow::slurm {

// "time was 10:00, is 20:00", "account was not stated, is tp0": a text for each key whose change
// asks Slurm for something else; names and pauses between questions are left out.
std::vector<std::string> profile_differences(const ClusterProfile& then, const ClusterProfile& now);

}  // namespace tarflow::slurm
