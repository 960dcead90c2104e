#include "framework/slurm/verdict.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <map>

#include "framework/core/error.h"
#include "framework/job/execute.h"
#include "framework/job/store.h"
#include "framework/slurm/limits.h"
#include "framework/slurm/standing.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

using What = Verdict::What;

// What is known of the last time the task was started.
struct LastStart {
  bool started = false, ended = false;
  std::string told;     // the signal
  std::string refused;  // why it could not be put back into the queue
  std::string host;
  std::string time;  // UTC
};

LastStart last_start(const std::vector<TaskEvent>& events) {
  LastStart last;
  for (const TaskEvent& event : events) {
    if (event.what == "start") {
      last = {};
      last.started = true;
      last.host = event.host;
      last.time = event.time;
    }
    if (event.what == "told") last.told = event.text;
    if (event.what == "refused") last.refused = event.text;
    if (event.what == "end") last.ended = true;
  }
  return last;
}

// The last word of the events on a job, when it is that the job failed for good.
const TaskEvent* failed_for_good(const std::vector<TaskEvent>& events, const std::string& job) {
  const TaskEvent* last = nullptr;
  for (const TaskEvent& event : events) {
    if (event.what == "job" && event.job == job) last = &event;
  }
  return last && last->outcome == "failed" ? last : nullptr;
}

// Whether the last attempt of the job may have been made by the last start of the task. The last
// attempt of a job that was not begun is one of an earlier allocation.
bool ran_here(const TaskEvidence& evidence, const TaskJob& job) {
  if (!job.attempts.last) return false;
  const job::Attempt& attempt = *job.attempts.last;
  const bool known = !attempt.place.empty() && !evidence.places.empty();
  if (known && !evidence.places.contains(attempt.place)) return false;
  return attempt.start >= last_start(evidence.events).time;
}

bool is_left(const Verdict& verdict, const TaskJob& job) {
  return std::find(verdict.left.begin(), verdict.left.end(), job.hash) != verdict.left.end();
}

// `here`: in the last start of the task.
const TaskJob* last_tried(const TaskEvidence& evidence, const Verdict& verdict, bool here) {
  const TaskJob* found = nullptr;
  for (const TaskJob& job : evidence.jobs) {
    if (!is_left(verdict, job) || !job.attempts.last) continue;
    if (job.attempts.last->outcome == "done" || (here && !ran_here(evidence, job))) continue;
    found = &job;
  }
  return found;
}

std::string on_nodes(const TaskEvidence& evidence) {
  const std::string& nodes = evidence.state ? evidence.state->nodes : std::string();
  const std::string host = nodes.empty() ? last_start(evidence.events).host : nodes;
  return host.empty() ? "" : " on " + host;
}

std::string with_output(std::string reason, const TaskEvidence& evidence) {
  if (!evidence.output_end.empty())
    reason += fmt::format("; its output ends with `{}`", evidence.output_end);
  return reason;
}

bool starts_with_any(const std::string& text, std::initializer_list<const char*> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](const char* beginning) { return text.starts_with(beginning); });
}

// Slurm's words for why a task waits.
std::string waiting_reason(const TaskState& state) {
  static const std::map<std::string, std::string> words{
      {"", "queued"},
      {"Priority", "others come first"},
      {"Resources", "no node is free"},
      {"Dependency", "it waits for other jobs"},
      {"JobArrayTaskLimit", "as many tasks as allowed are running"},
      {"JobHeldUser", "held by its owner"},
      {"JobHeldAdmin", "held by an administrator"},
      {"BeginTime", "put back into the queue, it starts again soon"},
      {"ReqNodeNotAvail", "the nodes it asks for are not available"},
      {"PartitionDown", "its partition is down"},
      {"PartitionTimeLimit", "it asks for more time than its partition allows"},
      {"PartitionNodeLimit", "it asks for more nodes than its partition has"},
      {"BadConstraints", "no node has what it asks for"}};
  if (!state.known()) return fmt::format("in a state that is not known here, `{}`", state.state);
  if (const auto found = words.find(state.reason); found != words.end()) return found->second;
  const Limit limit = limit_of_reason(state.reason);
  if (limit.kind == Limit::Kind::kJob) return never_starts_text(limit);
  if (limit.kind == Limit::Kind::kUser) {
    return fmt::format(
        "your running jobs have all that its QOS or account allows a user ({0}); or it asks for "
        "more than that by itself",
        state.reason);
  }
  return state.reason;
}

Verdict of_waiting(Verdict verdict, const TaskState& state) {
  verdict.what = What::kWaiting;
  verdict.reason = waiting_reason(state);
  if (state.reason == "DependencyNeverSatisfied") {
    verdict.what = What::kFailed;
    verdict.dependency = true;
    verdict.reason = "a job that it waits for did not end well";
  } else if (state.state == "REQUEUE_HOLD" || state.state == "SPECIAL_EXIT" ||
             starts_with_any(state.reason, {"launch failed requeued held", "JobHoldMaxRequeue",
                                            "job requeued in held state"})) {
    verdict.what = What::kRequeue;
    verdict.reason =
        fmt::format("Slurm holds it ({})", state.reason.empty() ? state.state : state.reason);
  }
  return verdict;
}

std::string ended_early(const TaskEvidence& evidence) {
  for (auto event = evidence.events.rbegin(); event != evidence.events.rend(); ++event) {
    if (event->what == "start") break;
    if (event->unable) return fmt::format("{} cannot run the worker: {}", event->host, event->text);
    if (event->starved) return event->text;
  }
  return "it ended before all of its jobs were done";
}

std::string exit_text(const TaskState& state) {
  if (state.bare) return state.reason;
  return state.signal == 0 ? fmt::format("exit code {}", state.exit_code)
                           : fmt::format("exit code {}, signal {}", state.exit_code, state.signal);
}

// A batch script that ended by itself, before or after run_sweep took over.
void judge_failed(const TaskEvidence& evidence, const LastStart& last, Verdict& verdict) {
  const TaskState& state = *evidence.state;
  const bool killed = state.signal == SIGKILL || state.exit_code == 128 + SIGKILL;
  verdict.what = What::kResubmit;
  if (last.started && last.ended) {
    verdict.reason = last.refused.empty()
                         ? ended_early(evidence)
                         : fmt::format(
                               "it was told to end ({}) and could not be put back into the "
                               "queue: {}",
                               last.told, last.refused);
  } else if (last.started && killed) {
    verdict.reason =
        fmt::format("it was killed (signal 9){}; the memory may have run out", on_nodes(evidence));
  } else if (last.started) {
    verdict.reason = with_output(
        fmt::format("it broke off{} ({})", on_nodes(evidence), exit_text(state)), evidence);
  } else if (state.reason == "JobLaunchFailure" || state.state == "BOOT_FAIL" || killed) {
    verdict.reason = with_output(fmt::format("it could not be started{} ({})", on_nodes(evidence),
                                             state.reason.empty() ? state.state : state.reason),
                                 evidence);
    verdict.log = evidence.output;
  } else {
    // The profile's `setup` or `prefix`, or the programs' folder; again would be the same.
    verdict.what = What::kFailed;
    verdict.log = evidence.output;
    verdict.reason = with_output(fmt::format("its script ended{} before run_sweep began ({})",
                                             on_nodes(evidence), exit_text(state)),
                                 evidence);
  }
}

// Jobs of the task that were running when it ended: their attempts have no end.
std::vector<const TaskJob*> broken_off(const TaskEvidence& evidence, const Verdict& verdict) {
  std::vector<const TaskJob*> jobs;
  for (const TaskJob& job : evidence.jobs) {
    const bool ran = is_left(verdict, job) && ran_here(evidence, job);
    if (ran && job.attempts.last->outcome.empty()) jobs.push_back(&job);
  }
  return jobs;
}

// The job that was at work is to blame, or together those that were; the others of the task are
// not.
void judge_memory(const TaskEvidence& evidence, Verdict& verdict) {
  verdict.reason = fmt::format("the memory ran out{}; ask for more in the cluster profile (mem)",
                               on_nodes(evidence));
  verdict.what = What::kFailed;
  if (evidence.memory_grows) {
    verdict.what = What::kResubmit;
    verdict.reason = fmt::format("the memory ran out{}", on_nodes(evidence));
    return;
  }
  std::vector<const TaskJob*> guilty = broken_off(evidence, verdict);
  const TaskJob* last = last_tried(evidence, verdict, /*here=*/true);
  if (guilty.empty() && last) guilty = {last};
  if (guilty.empty() || verdict.left.size() <= guilty.size()) return;
  for (const TaskJob* job : guilty) {
    verdict.failed.push_back({job->hash, verdict.reason, job->log});
    std::erase(verdict.left, job->hash);
  }
  verdict.what = What::kResubmit;
}

void judge_state(const TaskEvidence& evidence, Verdict& verdict) {
  const TaskState& state = *evidence.state;
  const LastStart last = last_start(evidence.events);
  verdict.what = What::kResubmit;
  const TaskEvent* judged = evidence.events.empty() ? nullptr : &evidence.events.back();
  if (judged && (judged->what != "verdict" || judged->outcome != name_of(What::kFailed))) {
    judged = nullptr;
  }
  if (state.state == "CANCELLED" && judged) {  // by run_sweep, for this reason
    verdict.what = What::kFailed;
    verdict.reason = judged->text;
  } else if (state.state == "CANCELLED") {
    verdict.what = What::kFailed;
    verdict.dependency = starts_with_any(state.reason, {"Dependency"});
    verdict.reason = verdict.dependency ? "a job that it waits for did not end well"
                     : state.cancelled.empty()
                         ? "it was cancelled"
                         : fmt::format("it was cancelled by user {}", state.cancelled);
  } else if (state.state == "TIMEOUT") {
    verdict.reason =
        fmt::format("it reached the time limit of its allocation{}", on_nodes(evidence));
  } else if (state.state == "DEADLINE") {
    verdict.what = What::kFailed;
    verdict.reason = "its deadline passed";
  } else if (state.state == "NODE_FAIL") {
    verdict.reason = fmt::format("its node failed{}", on_nodes(evidence));
  } else if (state.state == "PREEMPTED") {
    verdict.reason = "another job took its place (preempted)";
  } else if (state.state == "OUT_OF_MEMORY") {
    judge_memory(evidence, verdict);
  } else {
    judge_failed(evidence, last, verdict);
  }
}

void judge_lost(const TaskEvidence& evidence, Verdict& verdict) {
  const LastStart last = last_start(evidence.events);
  verdict.what = What::kResubmit;
  if (!evidence.events.empty() && evidence.events.back().what == "verdict") {
    const TaskEvent& known = evidence.events.back();  // when Slurm still knew
    if (known.outcome == name_of(What::kFailed)) verdict.what = What::kFailed;
    verdict.reason = known.text;
  } else if (last.ended && !last.refused.empty()) {
    verdict.reason = fmt::format("it was told to end ({}) and could not be put back: {}", last.told,
                                 last.refused);
  } else if (last.ended) {
    verdict.reason = ended_early(evidence);
  } else if (last.started) {
    verdict.reason = fmt::format("the queue knows nothing of it any more; it was last seen{}",
                                 on_nodes(evidence));
  } else {
    verdict.reason =
        with_output("the queue knows nothing of it any more, and it left no trace", evidence);
  }
}

}  // namespace

const char* name_of(What what) {
  switch (what) {
    case What::kWaiting:
      return "waiting";
    case What::kRunning:
      return "running";
    case What::kDone:
      return "done";
    case What::kFailed:
      return "failed";
    case What::kRequeue:
      return "held";
    case What::kResubmit:
      return "lost";
  }
  return "?";
}

Verdict judge(const TaskEvidence& evidence) {
  Verdict verdict;
  const bool alive = evidence.state && (evidence.state->running() || evidence.state->waiting());
  for (const TaskJob& job : evidence.jobs) {
    if (job.done) continue;
    if (!job.kept.empty() && !alive) {  // until then it is looked at again
      verdict.failed.push_back({job.hash, job.kept, job.log});
    } else if (const TaskEvent* event = failed_for_good(evidence.events, job.hash)) {
      verdict.failed.push_back({job.hash, event->text, event->silent ? evidence.output : job.log});
    } else {
      verdict.left.push_back(job.hash);
    }
  }
  for (const bool here : {false, true}) {
    if (const TaskJob* tried = last_tried(evidence, verdict, here)) verdict.log = tried->log;
  }
  if (evidence.state && evidence.state->running()) {
    verdict.what = What::kRunning;
    verdict.reason = "running" + on_nodes(evidence);
    return verdict;
  }
  if (verdict.left.empty()) {
    verdict.what = verdict.failed.empty() ? What::kDone : What::kFailed;
    verdict.log = verdict.failed.empty() ? fs::path() : verdict.failed.front().log;
    verdict.reason = verdict.failed.empty() ? "" : verdict.failed.front().reason;
    return verdict;
  }
  if (evidence.state && evidence.state->waiting()) {
    return of_waiting(std::move(verdict), *evidence.state);
  }
  if (evidence.state) {
    judge_state(evidence, verdict);
  } else {
    judge_lost(evidence, verdict);
  }
  if (verdict.log.empty()) verdict.log = evidence.output;
  return verdict;
}

TaskEvidence gather_evidence(const SubmissionFolder& folder, const Submission& submission,
                             size_t task, const TaskStates& states, const job::JobStore* store) {
  TaskEvidence evidence;
  const auto state = states.find(task_id(submission, task));
  if (state != states.end()) evidence.state = state->second;
  evidence.events = read_events(folder, task);
  evidence.memory_grows = submission.profile.mem_grows;
  evidence.places = {task_id(submission, task).str(), submission.name};
  for (const std::string& hash : submission.tasks.at(task)) {
    const job::JobFolder job{folder.jobs() / hash};
    const job::Result result = store ? store->find(job) : job::find_result(job);
    evidence.jobs.push_back({hash, result.done(), job::read_attempts(job.attempts()), job.log(),
                             result.kept() ? result.problem.str() : ""});
  }
  evidence.output = folder.output(task);
  const std::vector<std::string> lines = job::last_lines(evidence.output, 0, 20);
  const auto last = std::find_if(lines.rbegin(), lines.rend(), [](const std::string& line) {
    return line.find_first_not_of(" \t\r") != std::string::npos;
  });
  if (last != lines.rend()) evidence.output_end = last->substr(0, 300);
  return evidence;
}

}  // namespace tarflow::slurm
