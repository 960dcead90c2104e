#include "framework/driver/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "framework/driver/look.h"
#include "framework/job/job_folder.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

constexpr size_t kShown = 30;                  // failed jobs
constexpr std::chrono::seconds kPatience{10};  // with a Slurm that does not answer

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
  const std::optional<process::LeaseHolder> holder = at_work(plan.folder);
  const bool alive = holder.has_value();
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

int show_status(const Look& look) {
  // One look: nothing is submitted or given up because of it.
  slurm::Queue queue = queue_for(kPatience, std::chrono::milliseconds(0));
  // Before the plan, which sees what is done meanwhile.
  const slurm::ClusterView cluster = slurm::cluster_view(look.folder(), queue);
  return print(status_text(look.plan(), cluster));
}

}  // namespace tarflow::driver
