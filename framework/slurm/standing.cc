#include "framework/slurm/standing.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "framework/core/error.h"
#include "framework/job/job_folder.h"
#include "framework/slurm/events.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

// That none of it will run any more. Where it cannot be written the next look asks about it again.
void note_over(KnownSubmission& known) {
  known.submission.over = true;
  try {
    write_submission(known.folder, known.submission);
  } catch (const Error&) {
    // As said above.
  }
}

// What can be told of a submission: numbers not noted are looked for.
void settle(KnownSubmission& known, const Patience& patience) {
  Submission& submission = known.submission;
  if (!submission.submitting()) return;
  if (all_tasks_finished(known.folder, submission)) {
    note_over(known);
  } else {
    recover(known.folder, submission, patience);
  }
}

TaskStates query_until_sure(const std::vector<WantedArray>& arrays, Queue& queue,
                            const Patience& patience) {
  constexpr std::chrono::milliseconds kLeast{10};
  TaskStates states = queue.query(arrays);
  if (queue.unsure()) {
    patience.notice(
        fmt::format("the queue does not show some tasks that were submitted; it is asked again for "
                    "{:.0f} s before "
                    "they count as over",
                    std::chrono::duration<double>(patience.second_look).count()));
  }
  while (queue.unsure()) {
    wait_for(std::max(kLeast, patience.second_look / 4), patience);
    states = queue.query(arrays);
  }
  return states;
}

// Adds what of it may still run; whether anything may.
bool hold(const KnownSubmission& known, Standing& standing) {
  bool any = false;
  for (size_t task = 0; task < known.submission.tasks.size(); ++task) {
    const TaskId id = task_id(known.submission, task);
    const auto state = standing.states.find(id);
    if (state == standing.states.end() || state->second.over()) continue;
    any = true;
    const bool running = state->second.running();
    for (const std::string& hash : known.submission.tasks[task]) {
      standing.held[hash] = {standing.submissions.size(), task, running,
                             running ? state->second.nodes : state->second.reason};
    }
  }
  return any;
}

}  // namespace

TaskId task_id(const Submission& submission, size_t task) {
  if (submission.profile.by_command()) return {submission.job_id};
  return {submission.job_id, static_cast<int64_t>(task)};
}

WantedArray wanted_of(const Submission& submission) {
  WantedArray wanted{submission.job_id, submission.tasks.size()};
  if (submission.profile.by_command()) wanted.templates = submission.profile.templates;
  return wanted;
}

Standing standing_of(const fs::path& sweep_folder, Queue& queue, const Patience& patience,
                     const std::function<void(const Problem&)>& complain, Looks looks) {
  std::vector<Problem> problems;
  std::vector<KnownSubmission> open = read_submissions(sweep_folder, problems);
  for (const Problem& problem : problems) complain(problem);
  std::erase_if(open, [](const KnownSubmission& known) { return !known.submission.open(); });
  for (KnownSubmission& known : open) settle(known, patience);
  std::erase_if(open, [](const KnownSubmission& known) { return !known.submission.open(); });
  std::vector<WantedArray> arrays;
  for (const KnownSubmission& known : open) {
    if (all_tasks_finished(known.folder, known.submission)) continue;
    arrays.push_back(wanted_of(known.submission));
  }
  Standing standing;
  standing.unread = !problems.empty();
  if (!arrays.empty()) {
    standing.states =
        looks == Looks::kOne ? queue.query(arrays) : query_until_sure(arrays, queue, patience);
    patience.beat();  // before something is written: the answer may have taken long
  }
  for (KnownSubmission& known : open) {
    if (hold(known, standing)) {
      standing.submissions.push_back(std::move(known));
    } else {
      note_over(known);
      standing.ended.push_back(std::move(known));
    }
  }
  return standing;
}

void take_back(Standing& standing, const Patience& patience) {
  // First: tasks look there before they begin or queue again, and with the end of one array
  // another may begin.
  std::vector<Problem> problems;
  for (KnownSubmission& known : standing.submissions) {
    known.submission.cancelled = true;
    note_taken_back(known, problems);
  }
  for (const KnownSubmission& known : standing.submissions) {
    try {
      cancel(known.submission, patience);
    } catch (const Error& failure) {  // the others can be cancelled all the same
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  if (!problems.empty()) throw Error(std::move(problems));
}

void note_taken_back(const KnownSubmission& known, std::vector<Problem>& problems) {
  try {
    write_submission(known.folder, known.submission);
  } catch (const Error& failure) {
    Problem problem = failure.problems().front();
    problem.repair =
        "the queue is told to end its tasks all the same, but one that runs may queue again: make "
        "room "
        "there and give the same command again";
    problems.push_back(std::move(problem));
  }
}

NotHeld not_held(const job::Jobs& jobs, const Standing& standing, const fs::path& jobs_folder) {
  NotHeld left{jobs, 0, {}};
  if (standing.held.empty()) return left;
  std::unordered_set<std::string> planned;
  std::unordered_set<std::string>& keys = left.keys;
  for (const job::Job& job : jobs) {
    planned.insert(job.hash);
    if (!standing.held.contains(job.hash)) continue;
    for (const job::JobPoint& point : job.points) keys.insert(point.key);
  }
  // Of jobs made before the sweep was changed, say: some of their points may be wanted still.
  for (const auto& [hash, held] : standing.held) {
    if (planned.contains(hash)) continue;
    try {
      const job::Job job = job::read_job(job::JobFolder{jobs_folder / hash}.job());
      for (const job::JobPoint& point : job.points) keys.insert(point.key);
    } catch (const Error&) {
      // Its folder was removed: the task will say so and end.
    }
  }
  left.jobs = job::with_points(jobs, [&](const job::JobPoint& point) {
    const bool held = keys.contains(point.key);
    left.points += held;
    return !held;
  });
  return left;
}

}  // namespace tarflow::slurm
