#include "framework/driver/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/job/progress.h"
#include "framework/job/store.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

constexpr size_t kShown = 30;  // failed jobs

job::JobFolder folder_of(const job::Plan& plan, const job::Job& job) {
  return job::JobFolder{plan.jobs_folder() / job.hash};
}

std::string running_line(const job::Plan& plan, const JobStatus& status) {
  const job::WorkerProgress progress = job::read_progress(folder_of(plan, *status.job).progress());
  std::string line =
      fmt::format("  running  {}  {}", status.job->hash, job::job_label(plan, *status.job));
  if (status.cluster) {
    line += fmt::format(" ({} on {}, {})", status.cluster->task, status.cluster->nodes,
                        job::duration(status.cluster->elapsed));
  }
  if (const std::string text = describe(progress); !text.empty()) line += ": " + text;
  if (progress.seconds_left > 0)
    line += fmt::format(", {} left", job::duration(progress.seconds_left));
  return line + "\n";
}

// Of a job that ended on the cluster without being done.
std::string lost_lines(const job::Plan& plan, const JobStatus& status) {
  const slurm::ClusterJob& cluster = *status.cluster;
  return fmt::format("  {:<8} {}  {}\n           {} ({}, {}), log: {}\n",
                     status.state == JobState::kFailed ? "failed" : "lost", status.job->hash,
                     job::job_label(plan, *status.job), cluster.reason,
                     job::counted(static_cast<size_t>(status.attempts.count), "attempt"),
                     cluster.task, cluster.log.string());
}

std::string failed_lines(const job::Plan& plan, const JobStatus& status) {
  if (status.cluster) return lost_lines(plan, status);
  const job::Attempt& last = *status.attempts.last;
  return fmt::format("  failed   {}  {}\n           {} ({} on {}), log: {}\n", status.job->hash,
                     job::job_label(plan, *status.job), last.reason,
                     job::counted(static_cast<size_t>(status.attempts.count), "attempt"), last.host,
                     folder_of(plan, *status.job).log().string());
}

// A line for all that wait for the same in one array.
std::string queued_lines(const std::vector<JobStatus>& states) {
  std::map<std::pair<std::string, std::string>, std::pair<size_t, size_t>> groups;
  for (const JobStatus& status : states) {
    if (status.state != JobState::kQueued) continue;
    const slurm::ClusterJob& cluster = *status.cluster;
    const std::string array = cluster.task.substr(0, cluster.task.find('_'));
    const std::string reason = cluster.what == slurm::Verdict::What::kRunning
                                   ? "their tasks run other jobs"
                                   : cluster.reason;
    auto& [jobs, points] = groups[{array, reason}];
    ++jobs;
    points += status.job->points.size();
  }
  std::string text;
  for (const auto& [group, counts] : groups) {
    text += fmt::format("  queued   {} ({}) in array {}: {}\n", job::counted(counts.first, "job"),
                        job::counted(counts.second, "point"), group.first, group.second);
  }
  return text;
}

double folder_bytes(const fs::path& folder) {
  double bytes = 0;
  std::error_code failed;
  for (fs::recursive_directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) bytes += static_cast<double>(entry->file_size(ignored));
  }
  return bytes;
}

// Files that took work to make.
bool has_work(const job::JobFolder& folder) {
  std::error_code failed;
  for (fs::directory_iterator entry(folder.path, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    const bool result = name.starts_with("result.h5") || name.starts_with("previous.h5");
    if (result || name.starts_with("partial.h5")) return true;
  }
  return failed && !is_absent(folder.path);  // who knows
}

std::string what_is_in(const job::JobFolder& folder, const job::Job& job) {
  const bool whole = !is_absent(folder.result()) || !is_absent(folder.previous());
  return fmt::format("{}, {} of {}", whole ? "finished" : "unfinished",
                     job::counted(job.points.size(), "point"), job.experiment);
}

}  // namespace

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

}  // namespace

std::vector<JobStatus> job_states(const job::Plan& plan, bool alive,
                                  const slurm::ClusterView& cluster) {
  std::vector<JobStatus> states;
  states.reserve(plan.pending.size());
  for (const job::Job& job : plan.pending) {
    JobStatus status{&job, JobState::kWaiting, job::read_attempts(folder_of(plan, job).attempts())};
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
    states.push_back(std::move(status));
  }
  return states;
}

namespace {

// "x: 2 of 6 points done, 1 job running, ...", and where jobs have several points, these as well.
std::string summary(const job::Plan& plan, const std::vector<JobStatus>& states) {
  std::map<JobState, std::pair<size_t, size_t>> counts;
  for (const JobStatus& status : states) {
    ++counts[status.state].first;
    counts[status.state].second += status.job->points.size();
  }
  std::string text =
      fmt::format("{}: {} of {} done", plan.sweep.name, plan.done.by_key.size(),
                  job::counted(job::point_count(plan.all) + plan.cannot_run.size(), "point"));
  for (const auto& [state, count] : counts) {
    text += fmt::format(", {} {}", job::counted(count.first, "job"), name_of(state));
  }
  if (plan.kept > 0)
    text += fmt::format(", {} in results that cannot be read", job::counted(plan.kept, "point"));
  if (!plan.cannot_run.empty())
    text += fmt::format(", {} cannot run", job::counted(plan.cannot_run.size(), "point"));
  text += "\n";
  if (std::all_of(counts.begin(), counts.end(),
                  [](const auto& count) { return count.second.first == count.second.second; })) {
    return text;
  }
  text += fmt::format("  points: {} done", plan.done.by_key.size());
  for (const auto& [state, count] : counts)
    text += fmt::format(", {} {}", count.second, name_of(state));
  return text + "\n";
}

}  // namespace

std::string status_text(const job::Plan& plan, const slurm::ClusterView& cluster) {
  const std::optional<process::LeaseHolder> holder = process::read_lease(plan.folder);
  const bool alive = holder && process::life_of(*holder) != process::Life::kDead;
  const std::vector<JobStatus> states = job_states(plan, alive, cluster);
  std::string text = summary(plan, states);
  for (const std::string& note : cluster.notes) text += note + "\n";
  if (alive) text += fmt::format("run_sweep is running: {}\n", holder->str());
  const fs::path page = plan.folder / "report" / "report.html";
  if (std::error_code absent; fs::exists(page, absent))
    text += fmt::format("what is done so far: {}\n", page.string());
  size_t failed = 0;
  bool selectable = true;  // all of them, by --retry-failed
  for (const JobStatus& status : states) {
    if (status.state == JobState::kRunning) text += running_line(plan, status);
  }
  text += queued_lines(states);
  for (const JobStatus& status : states) {
    const bool lost = status.cluster && status.state == JobState::kInterrupted;
    if (!lost && status.state != JobState::kFailed) continue;
    selectable = selectable && status.attempts.failed();
    if (++failed <= kShown) text += failed_lines(plan, status);
  }
  if (failed > kShown) text += fmt::format("  ... and {} more\n", failed - kShown);
  if (failed > 0 && !alive)
    text += selectable ? "run them again with --retry-failed, or everything without it\n"
                       : "the same command runs them again\n";
  return text;
}

fs::path find_log(const job::Plan& plan, const std::string& wanted) {
  std::set<fs::path> logs;
  for (const job::Jobs* jobs : {&plan.all, &plan.pending}) {
    for (const job::Job& job : *jobs) {
      const bool fits = job.hash.starts_with(wanted);
      for (const job::JobPoint& point : job.points) {
        if (!fits && !point.id.starts_with(wanted)) continue;
        const auto done = plan.done.by_key.find(point.key);
        const fs::path folder = done == plan.done.by_key.end() ? plan.jobs_folder() / job.hash
                                                               : done->second.result.parent_path();
        std::error_code ignored;
        if (fs::exists(job::JobFolder{folder}.log(), ignored))
          logs.insert(job::JobFolder{folder}.log());
      }
    }
  }
  if (logs.size() == 1) return *logs.begin();
  if (logs.empty()) {
    throw Error(
        fmt::format("no job has run whose id, or a point of which, begins with `{}`", wanted),
        "--list-jobs prints the jobs, --dry-run their points");
  }
  throw Error(fmt::format("{} jobs begin with `{}`", logs.size(), wanted), "state more of the id");
}

namespace {

// Hashes of the jobs whose folders the plan uses. A job yet to be run may have something to go on
// from.
std::set<std::string> plan_hashes(const job::Plan& plan) {
  std::set<std::string> used;
  for (const auto& [key, point] : plan.done.by_key) used.insert(point.job);
  for (const job::Jobs* jobs : {&plan.pending, &plan.all}) {
    for (const job::Job& job : *jobs) used.insert(job.hash);
  }
  for (const job::BadResult& kept : plan.done.kept) {
    used.insert(kept.folder.path.filename().string());
  }
  return used;
}

// What the sweep has, whatever of it is done or can run.
struct Points {
  std::set<std::string> ids, keys;

  explicit Points(const job::Plan& plan) {
    for (const job::Job& job : plan.all) {
      for (const job::JobPoint& point : job.points) {
        ids.insert(point.id);
        keys.insert(point.key);
      }
    }
    for (const sweep::Point& point : plan.cannot_run) ids.insert(point.id);
  }
};

// Why the folder of a job that no plan names must stay; "" when it need not.
std::string why_spared(const job::Plan& plan, const Points& points, const job::Job& job) {
  size_t here = 0, superseded = 0, others = 0;
  for (const job::JobPoint& point : job.points) {
    if (!points.ids.contains(point.id)) continue;
    ++here;
    superseded += plan.done.by_key.contains(point.key);
    others += !points.keys.contains(point.key);
  }
  if (here == superseded) return "";  // another folder has these
  return others > 0 ? "results of this sweep's points for another device or other files"
                    : "points of this sweep, in a job divided otherwise";
}

}  // namespace

std::vector<Orphan> find_orphans(const job::Plan& plan, const std::set<std::string>& held) {
  const std::set<std::string> used = plan_hashes(plan);
  const Points points(plan);
  std::vector<Orphan> orphans;
  for (const job::JobFolder& folder : job::folders_in(plan.jobs_folder())) {
    const std::string name = folder.path.filename().string();
    if (used.contains(name)) continue;
    Orphan orphan{folder.path, folder_bytes(folder.path), "not a job", ""};
    try {
      const job::Job job = job_in(folder, folder.result());
      orphan.what = what_is_in(folder, job);
      orphan.spared = why_spared(plan, points, job);
    } catch (const Error&) {
      if (has_work(folder)) orphan.spared = "it cannot be told what it holds";
    }
    if (held.contains(name)) orphan.spared = "Slurm has its job";
    orphans.push_back(std::move(orphan));
  }
  return orphans;
}

}  // namespace tarflow::driver
