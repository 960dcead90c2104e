// What a cluster profile says of `executor: command`, and what it may not say beside it.
#pragma once

#include <map>
#include <string>

#include "framework/slurm/cluster_profile.h"
#include "framework/sweep/report.h"

namespace tarflow::slurm {

// The map `words`. Everything wrong is reported.
void read_words(const sweep::Node& node, std::map<std::string, std::string>& words,
                sweep::Report& report);

// Reports templates that lack or are wrong, keys that belong to another executor, and fields of
// `submit` for which the profile has no value.
void require_fitting_command(const sweep::Node& root, const ClusterProfile& profile,
                             sweep::Report& report);

}  // namespace tarflow::slurm
