#include "framework/driver/job_states.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "framework/driver/look.h"
#include "framework/job/job_folder.h"

namespace tarflow::driver {

std::optional<process::LeaseHolder> at_work(const std::filesystem::path& folder) {
  std::optional<process::LeaseHolder> holder = process::read_lease(folder);
  if (holder && process::life_of(*holder) == process::Life::kDead) holder.reset();
  return holder;
}

slurm::Queue queue_for(std::chrono::milliseconds patience, std::chrono::milliseconds second_look) {
  slurm::Patience short_one;
  short_one.limit = patience;
  short_one.second_look = second_look;
  short_one.notice = complain;
  return slurm::Queue(short_one);
}

const char* name_of(JobState state) {
  switch (state) {
    case JobState::kDone:
      return "done";
    case JobState::kRunning:
      return "running";
    case JobState::kQueued:
      return "queued";
    case JobState::kFailed:
      return "failed";
    case JobState::kInterrupted:
      return "interrupted";
    case JobState::kWaiting:
      return "waiting";
  }
  return "?";
}

namespace {

// Whether the attempt began after the job was given to the cluster, and elsewhere.
bool newer_elsewhere(const JobStatus& status, const slurm::ClusterJob& cluster) {
  return status.attempts.last && status.attempts.last->start > cluster.submitted &&
         status.attempts.last->place.empty();
}

JobState state_on_cluster(const JobStatus& status) {
  const slurm::ClusterJob& cluster = *status.cluster;
  const bool at_work = status.attempts.last && status.attempts.last->outcome.empty();
  if (cluster.failed) return JobState::kFailed;
  switch (cluster.what) {
    case slurm::Verdict::What::kRunning:
      return at_work ? JobState::kRunning : JobState::kQueued;
    case slurm::Verdict::What::kWaiting:
    case slurm::Verdict::What::kRequeue:
      return JobState::kQueued;
    case slurm::Verdict::What::kFailed:
      return JobState::kFailed;
    case slurm::Verdict::What::kDone:
    case slurm::Verdict::What::kResubmit:
      break;
  }
  return JobState::kInterrupted;
}

// Which pending jobs make files that others read.
class Makers {
 public:
  explicit Makers(const job::Plan& plan) : plan_(plan) {
    const bool any = std::any_of(plan.pending.begin(), plan.pending.end(),
                                 [](const job::Job& job) { return !job.after.empty(); });
    if (!any) return;
    for (const job::Job& job : plan.pending) {
      for (const job::JobPoint& point : job.points) by_key_[point.key] = &job;
    }
  }

  // A job that makes what `reader` is to read, and has not done it; nullptr: there is none.
  const job::Job* open_of(const job::Job& reader) const {
    for (const std::string& key : reader.after) {
      const auto maker = by_key_.find(key);
      if (maker != by_key_.end()) return maker->second;
    }
    return nullptr;
  }
  const job::Plan& plan() const { return plan_; }

 private:
  const job::Plan& plan_;
  std::unordered_map<std::string, const job::Job*> by_key_;
};

// For what a job that nothing holds back waits.
std::string wait_for_device(const job::Plan& plan, bool alive) {
  if (!alive) return "no run_sweep is at work on it";
  const std::optional<process::LeaseHolder> holder = process::read_lease(plan.folder);
  for (const char* choice : {" --only", " --retry-failed"}) {
    if (holder && holder->command.find(choice) != std::string::npos)
      return "no device is free, or the running run_sweep was told to leave it out";
  }
  return "no device is free";
}

std::string why_it_waits(const JobStatus& status, const Makers& makers,
                         const std::string& for_device) {
  if (status.state == JobState::kQueued) {
    const slurm::ClusterJob& cluster = *status.cluster;
    return cluster.what == slurm::Verdict::What::kRunning ? "its task runs other jobs first"
                                                          : cluster.reason;
  }
  if (status.state != JobState::kWaiting) return "";
  if (const job::Job* maker = makers.open_of(*status.job)) {
    return fmt::format("it reads a file that job {} makes ({})", maker->hash,
                       job::job_label(makers.plan(), *maker));
  }
  return for_device;
}

}  // namespace

std::vector<JobStatus> job_states(const job::Plan& plan, bool alive,
                                  const slurm::ClusterView& cluster) {
  const Makers makers(plan);
  const std::string for_device = wait_for_device(plan, alive);
  std::vector<JobStatus> states;
  states.reserve(plan.pending.size());
  for (const job::Job& job : plan.pending) {
    JobStatus status{&job, JobState::kWaiting, job::read_attempts(folder_of(plan, job).attempts()),
                     nullptr, ""};
    const auto there = cluster.jobs.find(job.hash);
    if (there != cluster.jobs.end() && !newer_elsewhere(status, there->second)) {
      status.cluster = &there->second;
      status.state = state_on_cluster(status);
    } else if (status.attempts.last) {
      const std::string& outcome = status.attempts.last->outcome;
      status.state = outcome.empty() && alive   ? JobState::kRunning
                     : status.attempts.failed() ? JobState::kFailed
                                                : JobState::kInterrupted;
    }
    status.why = why_it_waits(status, makers, for_device);
    states.push_back(std::move(status));
  }
  return states;
}

}  // namespace tarflow::driver
