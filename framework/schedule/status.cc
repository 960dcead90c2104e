#include "framework/schedule/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "framework/core/error.h"
#include "framework/schedule/job_folder.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

constexpr size_t kShown = 30;  // failed jobs

JobFolder folder_of(const Plan& plan, const Job& job) {
  return JobFolder{plan.jobs_folder() / job.hash};
}

std::string running_line(const Plan& plan, const JobStatus& status) {
  const WorkerProgress progress = read_progress(folder_of(plan, *status.job).progress());
  std::string line =
      fmt::format("  running  {}  {}", status.job->hash, job_label(plan, *status.job));
  if (status.cluster) {
    line += fmt::format(" ({} on {}, {})", status.cluster->task, status.cluster->nodes,
                        duration(status.cluster->elapsed));
  }
  if (const std::string text = describe(progress); !text.empty()) line += ": " + text;
  if (progress.seconds_left > 0) line += fmt::format(", {} left", duration(progress.seconds_left));
  return line + "\n";
}

// Of a job that ended on the cluster without being done.
std::string lost_lines(const Plan& plan, const JobStatus& status) {
  const ClusterJob& cluster = *status.cluster;
  return fmt::format("  {:<8} {}  {}\n           {} ({}, {}), log: {}\n",
                     status.state == JobState::kFailed ? "failed" : "lost", status.job->hash,
                     job_label(plan, *status.job), cluster.reason,
                     counted(static_cast<size_t>(status.attempts.count), "attempt"), cluster.task,
                     cluster.log.string());
}

std::string failed_lines(const Plan& plan, const JobStatus& status) {
  if (status.cluster) return lost_lines(plan, status);
  const Attempt& last = *status.attempts.last;
  return fmt::format("  failed   {}  {}\n           {} ({} on {}), log: {}\n", status.job->hash,
                     job_label(plan, *status.job), last.reason,
                     counted(static_cast<size_t>(status.attempts.count), "attempt"), last.host,
                     folder_of(plan, *status.job).log().string());
}

// A line for all that wait for the same in one array.
std::string queued_lines(const std::vector<JobStatus>& states) {
  std::map<std::pair<std::string, std::string>, std::pair<size_t, size_t>> groups;
  for (const JobStatus& status : states) {
    if (status.state != JobState::kQueued) continue;
    const ClusterJob& cluster = *status.cluster;
    const std::string array = cluster.task.substr(0, cluster.task.find('_'));
    const std::string reason = cluster.what == Verdict::What::kRunning
                                   ? "their tasks are at work on other jobs"
                                   : cluster.reason;
    auto& [jobs, points] = groups[{array, reason}];
    ++jobs;
    points += status.job->points.size();
  }
  std::string text;
  for (const auto& [group, counts] : groups) {
    text += fmt::format("  queued   {} ({}) in array {}: {}\n", counted(counts.first, "job"),
                        counted(counts.second, "point"), group.first, group.second);
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

std::string what_is_in(const JobFolder& folder) {
  std::error_code ignored;
  try {
    const Job job = job_from_json(read_json_file(folder.job()));
    const bool whole =
        fs::exists(folder.result(), ignored) || fs::exists(folder.previous(), ignored);
    return fmt::format("{}, {} of {}", whole ? "finished" : "unfinished",
                       counted(job.points.size(), "point"), job.experiment);
  } catch (const Error&) {
    return "not a job";
  }
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
bool newer_elsewhere(const JobStatus& status, const ClusterJob& cluster) {
  return status.attempts.last && status.attempts.last->start > cluster.submitted &&
         status.attempts.last->place.empty();
}

JobState state_on_cluster(const JobStatus& status) {
  const ClusterJob& cluster = *status.cluster;
  const bool at_work = status.attempts.last && status.attempts.last->outcome.empty();
  if (cluster.failed) return JobState::kFailed;
  switch (cluster.what) {
    case Verdict::What::kRunning:
      return at_work ? JobState::kRunning : JobState::kQueued;
    case Verdict::What::kWaiting:
    case Verdict::What::kRequeue:
      return JobState::kQueued;
    case Verdict::What::kFailed:
      return JobState::kFailed;
    case Verdict::What::kDone:
    case Verdict::What::kResubmit:
      break;
  }
  return JobState::kInterrupted;
}

}  // namespace

std::vector<JobStatus> job_states(const Plan& plan, bool alive, const ClusterView& cluster) {
  std::vector<JobStatus> states;
  states.reserve(plan.pending.size());
  for (const Job& job : plan.pending) {
    JobStatus status{&job, JobState::kWaiting, read_attempts(folder_of(plan, job).attempts())};
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
std::string summary(const Plan& plan, const std::vector<JobStatus>& states) {
  std::map<JobState, std::pair<size_t, size_t>> counts;
  for (const JobStatus& status : states) {
    ++counts[status.state].first;
    counts[status.state].second += status.job->points.size();
  }
  std::string text = fmt::format("{}: {} of {} done", plan.sweep.name, plan.done.by_key.size(),
                                 counted(point_count(plan.all) + plan.cannot_run.size(), "point"));
  for (const auto& [state, count] : counts) {
    text += fmt::format(", {} {}", counted(count.first, "job"), name_of(state));
  }
  if (!plan.cannot_run.empty())
    text += fmt::format(", {} cannot run", counted(plan.cannot_run.size(), "point"));
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

std::string status_text(const Plan& plan, const ClusterView& cluster) {
  const std::optional<LeaseHolder> holder = read_lease(plan.folder);
  const bool alive = holder && life_of(*holder) != Life::kDead;
  const std::vector<JobStatus> states = job_states(plan, alive, cluster);
  std::string text = summary(plan, states);
  for (const std::string& note : cluster.notes) text += note + "\n";
  if (alive) text += fmt::format("run_sweep is at work: {}\n", holder->str());
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

fs::path find_log(const Plan& plan, const std::string& wanted) {
  std::set<fs::path> logs;
  for (const Jobs* jobs : {&plan.all, &plan.pending}) {
    for (const Job& job : *jobs) {
      const bool fits = job.hash.starts_with(wanted);
      for (const JobPoint& point : job.points) {
        if (!fits && !point.id.starts_with(wanted)) continue;
        const auto done = plan.done.by_key.find(point.key);
        const fs::path folder = done == plan.done.by_key.end() ? plan.jobs_folder() / job.hash
                                                               : done->second.result.parent_path();
        std::error_code ignored;
        if (fs::exists(JobFolder{folder}.log(), ignored)) logs.insert(JobFolder{folder}.log());
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

std::vector<Orphan> find_orphans(const Plan& plan) {
  std::set<std::string> used;
  for (const auto& [key, point] : plan.done.by_key) used.insert(point.job);
  // A job yet to be run may have something to go on from.
  for (const Jobs* jobs : {&plan.pending, &plan.all}) {
    for (const Job& job : *jobs) used.insert(job.hash);
  }
  std::vector<Orphan> orphans;
  for (const JobFolder& folder : folders_in(plan.jobs_folder())) {
    if (used.contains(folder.path.filename().string())) continue;
    orphans.push_back({folder.path, folder_bytes(folder.path), what_is_in(folder)});
  }
  return orphans;
}

}  // namespace tarflow::schedule
