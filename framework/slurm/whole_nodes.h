// Allocations that are whole nodes (`node_gpus` of a cluster profile): several jobs run in one at
// once, each on GPUs of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/job/job.h"
#include "framework/slurm/cluster_profile.h"
#include "framework/sweep/report.h"

namespace tarflow::slurm {

// How many jobs with these settings run at once in an allocation, at least 1. Jobs on the CPU run
// one at a time, since the profile does not say how many CPUs a node has; so do jobs of several
// nodes.
int64_t jobs_at_once(const ClusterProfile& profile, const sweep::RunSettings& run);
// How many of so many jobs run one after another where `at_once` run at once.
inline size_t rounds_of(size_t jobs, size_t at_once) { return (jobs + at_once - 1) / at_once; }
// GPUs that an allocation has on each of its nodes.
int64_t gpus_of_node(const ClusterProfile& profile, const sweep::RunSettings& run);
// "4 jobs at once on the 4 GPUs of a node"; "" where jobs run one at a time.
std::string at_once_text(const ClusterProfile& profile, const sweep::RunSettings& run);

// What keeps jobs from ever running there: more GPUs than a node has. Each place in the sweep is
// named once.
std::vector<Problem> beyond_nodes(const ClusterProfile& profile, const job::Jobs& jobs);

// The key of a profile, and what it may not stand beside. Everything wrong is reported.
void read_node_gpus(const sweep::Node& node, ClusterProfile& profile, sweep::Report& report);
void require_fitting_nodes(const sweep::Node& root, const ClusterProfile& profile,
                           sweep::Report& report);

}  // namespace tarflow::slurm
