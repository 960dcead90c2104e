#include "framework/slurm/status.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"
#include "framework/process/host.h"
#include "framework/slurm/standing.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

// What Slurm says of the submissions that may still run; nothing when it does not answer.
std::optional<TaskStates> ask(const std::vector<KnownSubmission>& known, Queue& queue,
                              std::vector<std::string>& notes) {
  std::vector<WantedArray> arrays;
  for (const KnownSubmission& one : known) {
    if (one.submission.open() && !one.submission.job_id.empty() &&
        !all_tasks_finished(one.folder, one.submission)) {
      arrays.push_back(wanted_of(one.submission));
    }
  }
  try {
    return queue.query(arrays);
  } catch (const Error& failure) {
    notes.push_back(fmt::format("the queue cannot be asked, what follows is from records alone: {}",
                                failure.problems().front().what));
    return std::nullopt;
  }
}

// Without an answer nothing is known of a task that was not judged to be over.
Verdict judge_unasked(const TaskEvidence& evidence) {
  Verdict verdict = judge(evidence);
  const bool judged = !evidence.events.empty() && evidence.events.back().what == "verdict";
  if (verdict.what != Verdict::What::kDone && !judged && !verdict.left.empty()) {
    verdict.what = Verdict::What::kWaiting;
    verdict.reason = "in the queue, which does not answer";
  }
  return verdict;
}

void add(const KnownSubmission& known, size_t task, const std::optional<TaskStates>& states,
         const job::JobStore& store, ClusterView& view) {
  const Submission& submission = known.submission;
  const bool ask_again = submission.open() && !submission.job_id.empty();
  const TaskEvidence evidence =
      gather_evidence(known.folder, submission, task, states.value_or(TaskStates()), &store);
  Verdict verdict = ask_again && !states ? judge_unasked(evidence) : judge(evidence);
  if (submission.submitting()) {
    verdict.what = Verdict::What::kWaiting;
    verdict.reason = "being submitted";
  }
  const std::string name =
      submission.job_id.empty() ? submission.name : task_id(submission, task).str();
  view.open = view.open || verdict.what == Verdict::What::kWaiting ||
              verdict.what == Verdict::What::kRunning || verdict.what == Verdict::What::kRequeue;
  for (const TaskJob& job : evidence.jobs) view.jobs.erase(job.hash);  // of an earlier submission
  ClusterJob here;
  here.task = name;
  here.what = verdict.what;
  here.reason = verdict.reason;
  here.array = !submission.profile.by_command();
  here.log = verdict.log;
  here.submitted = submission.submitted;
  if (verdict.what == Verdict::What::kRunning && evidence.state) {
    here.nodes = evidence.state->nodes;
    for (const TaskEvent& event : evidence.events) {
      if (evidence.state->bare && event.what == "start") here.nodes = event.host;
    }
    here.elapsed = evidence.state->elapsed;
  }
  // What run_sweep cancel took back has not failed: it waits to be run again, and its attempts say
  // the rest.
  const bool over =
      verdict.what == Verdict::What::kFailed || verdict.what == Verdict::What::kResubmit;
  if (!submission.taken_back(task) || !over) {
    for (const std::string& hash : verdict.left) view.jobs[hash] = here;
  }
  for (const Verdict::Failed& failed : verdict.failed) {
    ClusterJob& job = view.jobs[failed.job] = here;
    job.failed = true;
    job.reason = failed.reason;
    job.log = failed.log;
  }
}

}  // namespace

ClusterView cluster_view(const fs::path& sweep_folder, Queue& queue) {
  ClusterView view;
  std::vector<Problem> problems;
  const std::vector<KnownSubmission> known = read_submissions(sweep_folder, problems);
  for (const Problem& problem : problems) view.notes.push_back(problem.str());
  if (known.empty()) return view;
  const std::optional<TaskStates> states = ask(known, queue, view.notes);
  const job::JobStore store(sweep_folder);
  for (const KnownSubmission& one : known) {
    if (!one.submission.given_up.empty()) continue;
    const auto poll = std::chrono::milliseconds(
        static_cast<int64_t>(1000 * std::max(3.0, one.submission.profile.poll)));
    view.poll = std::max(view.poll, poll);
    for (size_t task = 0; task < one.submission.tasks.size(); ++task) {
      add(one, task, states, store, view);
    }
  }
  return view;
}

void note_verdict(const SubmissionFolder& folder, size_t task, const Verdict& verdict) {
  TaskEvent event;
  event.what = "verdict";
  event.time = process::utc_now();
  event.host = "";
  event.task = task;
  event.outcome = name_of(verdict.what);
  event.text = verdict.reason;
  append_event(folder, event);
}

}  // namespace tarflow::slurm
