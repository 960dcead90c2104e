#include "framework/driver/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "framework/driver/look.h"
#include "framework/driver/slurm_run.h"
#include "framework/job/absent_jobs.h"
#include "framework/job/progress.h"
#include "framework/job/selected.h"

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
    line += fmt::format(" ({} on {}", status.cluster->task, status.cluster->nodes);
    const double elapsed = status.cluster->elapsed;  // 0: the queue does not tell it
    line += elapsed > 0 ? fmt::format(", {})", job::duration(elapsed)) : ")";
  }
  if (const std::string text = describe(progress); !text.empty()) line += ": " + text;
  if (progress.seconds_left > 0)
    line += fmt::format(", about {} left", job::duration(progress.seconds_left));
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

// Of a job that was stopped here, or whose run_sweep was killed.
std::string interrupted_line(const job::Plan& plan, const JobStatus& status) {
  const job::Attempt& last = *status.attempts.last;
  return fmt::format(
      "  interrupted {}  {}: {}\n", status.job->hash, job::job_label(plan, *status.job),
      last.outcome.empty() ? fmt::format("begun on {} at {}, not ended", last.host, last.start)
                           : last.reason);
}

// A line for all that wait for the same, of queued ones in one array.
std::string waiting_lines(const std::vector<JobStatus>& states) {
  std::map<std::tuple<JobState, std::string, std::string>, std::pair<size_t, size_t>> groups;
  for (const JobStatus& status : states) {
    if (status.why.empty()) continue;
    const bool queued = status.state == JobState::kQueued;
    const std::string array = queued && status.cluster->array
                                  ? status.cluster->task.substr(0, status.cluster->task.find('_'))
                                  : "";
    auto& [jobs, points] = groups[{status.state, array, status.why}];
    ++jobs;
    points += status.job->points.size();
  }
  std::string text;
  for (const auto& [group, counts] : groups) {
    const auto& [state, array, why] = group;
    text += fmt::format("  {:<8} {} ({}){}: {}\n", name_of(state),
                        job::counted(counts.first, "job"), job::counted(counts.second, "point"),
                        array.empty() ? "" : " in array " + array, why);
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
  const job::Selected selected = selected_points(plan);
  std::string text =
      fmt::format("{}: {} of {} done", plan.sweep.name, selected.done,
                  job::counted(selected.total, selected.all ? "point" : "selected point"));
  for (const auto& [state, count] : counts) {
    text += fmt::format(", {} {}", job::counted(count.first, "job"), name_of(state));
  }
  if (plan.kept > 0)
    text += fmt::format(", {} in results that cannot be read", job::counted(plan.kept, "point"));
  if (const size_t count = job::selected_count(plan.cannot_run); count > 0)
    text +=
        fmt::format(", {} cannot run (run_sweep plan FILE says why)", job::counted(count, "point"));
  text += "\n";
  if (std::all_of(counts.begin(), counts.end(),
                  [](const auto& count) { return count.second.first == count.second.second; })) {
    return text;
  }
  text += fmt::format("  points: {} done", selected.done);
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
    text += fmt::format("page of the results so far: {}\n", page.string());
  size_t failed = 0;
  bool selectable = true;  // all of them, by --retry-failed
  for (const JobStatus& status : states) {
    if (status.state == JobState::kRunning) text += running_line(plan, status);
  }
  size_t interrupted = 0;
  for (const JobStatus& status : states) {
    if (status.cluster || status.state != JobState::kInterrupted) continue;
    if (++interrupted <= kShown) text += interrupted_line(plan, status);
  }
  if (interrupted > kShown) text += fmt::format("  ... and {} more\n", interrupted - kShown);
  text += waiting_lines(states);
  if (interrupted > 0 && !alive) text += "repeat the command to go on with what was interrupted\n";
  for (const JobStatus& status : states) {
    const bool lost = status.cluster && status.state == JobState::kInterrupted;
    if (!lost && status.state != JobState::kFailed) continue;
    selectable = selectable && status.attempts.failed();
    if (++failed <= kShown) text += failed_lines(plan, status);
  }
  if (failed > kShown) text += fmt::format("  ... and {} more\n", failed - kShown);
  if (failed > 0 && !alive)
    text += selectable ? "repeat the command to run them again, with --retry-failed only them\n"
                       : "repeat the command to run them again\n";
  return text;
}

namespace {

Json progress_json(const job::WorkerProgress& progress) {
  const auto known = [](double value) { return value > 0 ? Json(value) : Json(); };
  return {{"done", progress.done},
          {"total", known(progress.total)},
          {"unit", progress.unit},
          {"phase", progress.phase},
          {"images_per_second", known(progress.images_per_second)},
          {"seconds_left", known(progress.seconds_left)}};
}

Json status_json(const job::Plan& plan, const JobStatus& status) {
  Json points = Json::array();
  for (const job::JobPoint& point : status.job->points) points.push_back(point.id);
  const std::optional<job::Attempt>& last = status.attempts.last;
  const slurm::ClusterJob* cluster = status.cluster;
  const job::JobFolder folder = folder_of(plan, *status.job);
  const bool over = status.state == JobState::kFailed || status.state == JobState::kInterrupted;
  const std::string reason = !over ? "" : cluster ? cluster->reason : last ? last->reason : "";
  Json json = {{"job", status.job->hash},
               {"label", job::job_label(plan, *status.job)},
               {"state", name_of(status.state)},
               {"why", over ? reason : status.why},
               {"points", std::move(points)},
               {"attempts", status.attempts.count},
               {"log", (over && cluster ? cluster->log : folder.log()).string()},
               {"host", last ? Json(last->host) : Json()},
               {"started", last ? Json(last->start) : Json()},
               {"task", cluster ? Json(cluster->task) : Json()},
               {"nodes", cluster ? Json(cluster->nodes) : Json()},
               {"progress", Json()}};
  if (status.state == JobState::kRunning)
    json["progress"] = progress_json(job::read_progress(folder.progress()));
  return json;
}

}  // namespace

Json status_json(const job::Plan& plan, const slurm::ClusterView& cluster,
                 const std::vector<std::string>& only) {
  const std::optional<process::LeaseHolder> holder = at_work(plan.folder);
  const job::Selected selected = selected_points(plan);
  Json points = {{"total", selected.total},
                 {"done", selected.done},
                 {"kept", plan.kept},
                 {"cannot_run", job::selected_count(plan.cannot_run)}};
  for (const JobState state : {JobState::kRunning, JobState::kQueued, JobState::kFailed,
                               JobState::kInterrupted, JobState::kWaiting}) {
    points[name_of(state)] = 0;
  }
  Json jobs = Json::array();
  for (const JobStatus& status : job_states(plan, holder.has_value(), cluster)) {
    Json& count = points[name_of(status.state)];
    count = count.get<size_t>() + status.job->points.size();
    jobs.push_back(status_json(plan, status));
  }
  const fs::path page = plan.folder / "report" / "report.html";
  std::error_code absent;
  return {{"version", kJsonVersion},
          {"sweep", plan.sweep.name},
          {"results", plan.folder.string()},
          {"only", only},
          {"points", std::move(points)},
          {"at_work", holder ? Json{{"host", holder->host},
                                    {"pid", holder->pid},
                                    {"since", holder->since},
                                    {"command", holder->command}}
                             : Json()},
          {"on_cluster", cluster.open},
          {"page", fs::exists(page, absent) ? Json(page.string()) : Json()},
          {"notes", cluster.notes},
          {"jobs", std::move(jobs)}};
}

int show_status(const Look& look) {
  // One look: nothing is submitted or given up because of it.
  slurm::Queue queue = queue_for(kPatience, std::chrono::milliseconds(0));
  // Before the plan, which sees what is done meanwhile.
  slurm::ClusterView cluster = slurm::cluster_view(look.folder(), queue);
  note_changed_profile(look.folder(), look.profile(), cluster);
  const job::Plan plan = look.plan();
  return look.options().json ? print_json(status_json(plan, cluster, look.options().only))
                             : print(status_text(plan, cluster));
}

}  // namespace tarflow::driver
