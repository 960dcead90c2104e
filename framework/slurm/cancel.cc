#include "framework/slurm/cancel.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>

#include "framework/core/complain.h"
#include "framework/core/error.h"
#include "framework/job/job_folder.h"
#include "framework/job/plan.h"
#include "framework/job/store.h"
#include "framework/slurm/driver.h"
#include "framework/slurm/events.h"
#include "framework/slurm/standing.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kGone{120};  // what cancelled tasks may take to end

// The unfinished points of a task.
struct TaskPoints {
  size_t jobs = 0, named = 0, others = 0;
  std::string with_others;  // a job that has points which are not named
};

TaskPoints points_of(const KnownSubmission& known, size_t task,
                     const std::set<std::string>& points) {
  TaskPoints found;
  for (const std::string& hash : known.submission.tasks[task]) {
    const job::JobFolder folder{known.folder.jobs() / hash};
    const job::Result result = job::find_result(folder);
    if (result.done() || result.kept()) continue;
    const job::Job job = job::read_job(folder.job());
    const auto named = static_cast<size_t>(
        std::count_if(job.points.begin(), job.points.end(),
                      [&](const job::JobPoint& point) { return points.contains(point.id); }));
    ++found.jobs;
    found.named += named;
    found.others += job.points.size() - named;
    if (named < job.points.size()) found.with_others = hash;
  }
  return found;
}

// Tasks of one submission that are to end; what else has some of the points goes to `taken`.
std::set<size_t> tasks_to_end(const KnownSubmission& known, const Standing& standing,
                              const std::set<std::string>& points, TakenBack& taken) {
  std::set<size_t> ends;
  for (size_t task = 0; task < known.submission.tasks.size(); ++task) {
    const TaskId id = task_id(known.submission, task);
    const auto state = standing.states.find(id);
    if (state == standing.states.end() || state->second.over()) continue;
    try {
      const TaskPoints found = points_of(known, task, points);
      if (found.named == 0) continue;
      if (found.others > 0) {
        taken.refused.push_back(fmt::format(
            "task {} goes on: it ends as a whole, and job {} in it has points that --only does not "
            "name",
            id.str(), found.with_others));
        continue;
      }
      taken.jobs += found.jobs;
      ends.insert(task);
    } catch (const Error& failure) {
      taken.refused.push_back(fmt::format("task {} goes on, since its points are not known: {}",
                                          id.str(), failure.what()));
    }
  }
  return ends;
}

bool holds(const Standing& standing, const std::map<std::string, std::set<size_t>>& ended) {
  return std::any_of(standing.held.begin(), standing.held.end(), [&](const auto& entry) {
    const HeldJob& held = entry.second;
    const auto tasks = ended.find(standing.submissions.at(held.submission).submission.name);
    return tasks != ended.end() && tasks->second.contains(held.task);
  });
}

// Throws Error when one cannot be read: nobody knows what Slurm has of it.
std::vector<KnownSubmission> readable_submissions(const fs::path& sweep_folder) {
  std::vector<Problem> problems;
  std::vector<KnownSubmission> known = read_submissions(sweep_folder, problems);
  if (!problems.empty()) throw Error(std::move(problems));
  std::erase_if(known, [](const KnownSubmission& one) {
    return !one.submission.open() || all_tasks_finished(one.folder, one.submission);
  });
  return known;
}

}  // namespace

std::string shared_reason(const std::string& hash) {
  return fmt::format(
      "job {} goes on: its points share their work, and --only does not name all of them", hash);
}

TakenBack cancel_some_on_slurm(const fs::path& sweep_folder, const std::string& name,
                               const std::set<std::string>& points, const std::string& command,
                               const std::optional<process::LeaseHolder>& silent) {
  TakenBack taken;
  if (readable_submissions(sweep_folder).empty()) return taken;
  process::Lease lease(sweep_folder, command, complain, {}, silent);
  Patience patience;
  patience.notice = complain;
  patience.beat = [&lease] { lease.check(); };
  Queue queue(patience);
  const auto look = [&] {
    return standing_of(sweep_folder, queue, patience,
                       [](const Problem& problem) { complain(problem.str()); });
  };
  Standing standing = look();
  std::map<std::string, std::set<size_t>> ended;  // by submission
  std::vector<Problem> unnoted;
  for (KnownSubmission& known : standing.submissions) {
    const std::set<size_t> tasks = tasks_to_end(known, standing, points, taken);
    if (tasks.empty()) continue;
    // First: the task looks there before it begins or queues again.
    known.submission.cancelled_tasks.insert(tasks.begin(), tasks.end());
    note_taken_back(known, unnoted);
    try {
      cancel_tasks(known.submission, tasks, patience);
      ended[known.submission.name] = tasks;
    } catch (const Error& failure) {  // the others can be cancelled all the same
      unnoted.insert(unnoted.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  for (const Problem& problem : unnoted) taken.refused.push_back(problem.str());
  if (ended.empty()) return taken;
  complain(fmt::format("{}: {} taken back from the queue; running ones end now", name,
                       job::counted(taken.jobs, "job")));
  const auto poll = std::min(poll_of(ClusterProfile{}), std::chrono::milliseconds(3000));
  const auto end = std::chrono::steady_clock::now() + kGone;
  while (holds(standing, ended) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(poll);
    lease.check();
    standing = look();
  }
  if (holds(standing, ended)) {
    complain(fmt::format("{}: some tasks have not ended yet; the queue shows them", name));
  }
  return taken;
}

std::set<std::string> jobs_with_slurm(const fs::path& sweep_folder) {
  std::set<std::string> hashes;
  for (const KnownSubmission& known : readable_submissions(sweep_folder)) {
    for (const std::vector<std::string>& task : known.submission.tasks) {
      hashes.insert(task.begin(), task.end());
    }
  }
  return hashes;
}

size_t named_with_slurm(const fs::path& sweep_folder, const std::set<std::string>& points) {
  size_t count = 0;
  for (const KnownSubmission& known : readable_submissions(sweep_folder)) {
    for (size_t task = 0; task < known.submission.tasks.size(); ++task) {
      try {
        count += points_of(known, task, points).named > 0;
      } catch (const Error&) {
        ++count;  // nobody knows
      }
    }
  }
  return count;
}

}  // namespace tarflow::slurm
