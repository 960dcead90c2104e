// How far a sweep is, told from its folder alone: nothing here needs the lease or changes a result.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
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
};

// Of the plan's pending jobs; `alive` when somebody is at work in the folder. What the cluster does
// comes first, unless an attempt elsewhere is newer. `cluster` has to live as long.
std::vector<JobStatus> job_states(const job::Plan& plan, bool alive,
                                  const slurm::ClusterView& cluster);

// What --status and --watch print: a summary in which every point is counted, running jobs with
// their progress, queued ones with what they wait for, failed ones with reason and log.
std::string status_text(const job::Plan& plan, const slurm::ClusterView& cluster = {});

// The log of the job that computed, or is to compute, the point (or job) whose id begins with
// `wanted`. Throws Error when there is none or more than one.
std::filesystem::path find_log(const job::Plan& plan, const std::string& wanted);

// A job folder that holds no result of the sweep as it is now, with its size in bytes.
struct Orphan {
  std::filesystem::path folder;
  double bytes = 0;
  std::string what;  // "finished, 3 points of evaluate"
  // Why it must not be deleted; "": it may be.
  std::string spared;
};
// Spared are folders with points that the sweep has (of another device, of files that have changed
// since, of jobs divided otherwise), those of jobs in `held`, which a cluster has, and those of
// which it cannot be told what they hold. Throws Error when the folders cannot be listed.
std::vector<Orphan> find_orphans(const job::Plan& plan, const std::set<std::string>& held);

}  // namespace tarflow::driver
