// What is known of a cluster profile before anything is submitted.
#pragma once

#include <string>

#include "framework/driver/run.h"
#include "framework/slurm/ask.h"
#include "framework/slurm/cluster_profile.h"

namespace tarflow::driver {

// `run_sweep check`: prints what can be known of the profile, submits nothing. Returns the exit
// status. Throws Error when Slurm is not here or does not answer.
int check_cluster(const RunOptions& options);

// "NAME, FILE", or without the file where it is this machine.
std::string profile_text(const slurm::ClusterProfile& profile, const RunOptions& options);
// Says on standard error that the profile is a shipped example as it is.
void note_example(const slurm::ClusterProfile& profile, const RunOptions& options);
// That the profile is the shipped one called `example`.
std::string example_text(const slurm::ClusterProfile& profile, const std::string& example);

// The user's profile does not fit the cluster: bad input, told before anything is submitted.
struct UnfitProfile : Error {
  using Error::Error;
};

// Throws UnfitProfile where a shipped profile, as it is, names what the cluster does not have.
void require_fitting_example(const slurm::ClusterProfile& profile, const RunOptions& options,
                             const slurm::Patience& patience);

}  // namespace tarflow::driver
