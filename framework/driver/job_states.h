// How far each job is, told from its folder and the cluster alone: nothing here needs the lease or
// changes a result.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framework/job/attempts.h"
#include "framework/job/plan.h"
#include "framework/process/lease.h"
#include "framework/slurm/status.h"

namespace tarflow::driver {

enum class JobState { kDone, kRunning, kQueued, kFailed, kInterrupted, kWaiting };
const char* name_of(JobState state);

struct JobStatus {
  const job::Job* job = nullptr;
  JobState state = JobState::kWaiting;
  job::Attempts attempts;
  const slurm::ClusterJob* cluster = nullptr;  // where it is on a cluster; nullptr: nowhere
  std::string why;                             // of one that waits or is queued: what for
};

// Of the plan's pending jobs; `alive` when somebody is at work in the folder. What the cluster does
// comes first, unless an attempt elsewhere is newer. `cluster` has to live as long.
std::vector<JobStatus> job_states(const job::Plan& plan, bool alive,
                                  const slurm::ClusterView& cluster);

// Who is at work in the folder, as far as can be told.
std::optional<process::LeaseHolder> at_work(const std::filesystem::path& folder);

// For a look: Slurm is waited for only shortly, since records tell something without it as well.
slurm::Queue queue_for(std::chrono::milliseconds patience, std::chrono::milliseconds second_look);

}  // namespace tarflow::driver
