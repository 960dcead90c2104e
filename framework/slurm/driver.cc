#include "framework/slurm/driver.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "framework/core/error.h"
#include "framework/job/attempts.h"
#include "framework/job/execute.h"
#include "framework/slurm/bad_nodes.h"
#include "framework/slurm/status.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

using job::Event;

// A shared file system may show a result some time after its task has ended.
constexpr int kLooksBeforeGone = 3;
constexpr size_t kLogLines = 15;
constexpr int kOldReason = 5;  // in units of Patience::second_look, a minute

// All tasks by one command.
void cancel_whole_or_tasks(const Submission& submission, const std::set<size_t>& tasks,
                           const Patience& patience) {
  if (tasks.size() == submission.tasks.size()) {
    slurm::cancel(submission, patience);
  } else {
    cancel_tasks(submission, tasks, patience);
  }
}

// What a job did in the last start of a task that is over, by the task's own words.
enum class Turn {
  kNone,     // it did not begin, since others of the task were at work, of which some are done
  kStopped,  // it was told to end, and did by itself
  kOther,
};

Turn turn_of(const std::vector<TaskEvent>& events, const std::string& hash) {
  const TaskEvent* last = nullptr;
  bool others = false;
  for (const TaskEvent& event : events) {
    if (event.what == "start") {
      last = nullptr;
      others = false;
    }
    if (event.what != "job") continue;
    if (event.job == hash) last = &event;
    others = others || event.outcome == "done";
  }
  if (!last) return others ? Turn::kNone : Turn::kOther;
  return last->outcome == "stopped" && !last->killed ? Turn::kStopped : Turn::kOther;
}

// The part of a job that is kept for sure, 0..1: of one that was killed what its last attempt began
// with.
double kept_part(const job::JobFolder& folder, Turn turn) {
  const job::WorkerProgress progress = job::read_progress(folder.progress());
  if (turn != Turn::kStopped) return progress.done_before;
  const bool known = progress.resumable && !progress.preparing && progress.total > 0;
  return known ? std::min(1.0, progress.done / progress.total) : progress.done_before;
}

}  // namespace

std::chrono::milliseconds poll_of(const ClusterProfile& profile) {
  double seconds = profile.poll;
  if (const char* shorter = std::getenv("TARFLOW_POLL_SECONDS")) {
    seconds = std::clamp(std::strtod(shorter, nullptr), 0.05, seconds);
  }
  return std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds));
}

std::chrono::milliseconds second_look_of(const ClusterProfile& profile) {
  return std::getenv("TARFLOW_POLL_SECONDS") ? 4 * poll_of(profile) : Patience().second_look;
}

SlurmDriver::SlurmDriver(SlurmOptions options)
    : options_(std::move(options)),
      attempts_(options_.profile, options_.sweep_folder),
      queue_(options_.patience) {}

job::JobFolder SlurmDriver::folder_of(const Tracked& tracked) const {
  return {options_.sweep_folder / "jobs" / tracked.task.job->hash};
}

void SlurmDriver::adopt(const job::Task& task, const Standing& standing, const HeldJob& held) {
  const KnownSubmission& known = standing.submissions.at(held.submission);
  tracked_[task.job->hash] = {task, State::kQueued, known.folder,
                              task_id(known.submission, held.task)};
  adopted_ = true;
  avoided_.insert(known.submission.avoided.begin(), known.submission.avoided.end());
}

std::vector<Event> SlurmDriver::poll() {
  Events events;
  if (options_.patience.now() < next_look_) return events;
  look(events);
  top_up(events);
  next_look_ = options_.patience.now() + options_.poll;
  return events;
}

// Nothing is concluded while a submission cannot be read.
void SlurmDriver::look(Events& events) {
  const Standing standing =
      standing_of(options_.sweep_folder, queue_, options_.patience, [&](const Problem& problem) {
        events.push_back({Event::What::kRemark, "", problem.str()});
      });
  if (standing.unread) return;
  for (const auto& [id, state] : standing.states) {
    state.over() ? static_cast<void>(ends_[id] = state) : static_cast<void>(ends_.erase(id));
  }
  std::map<size_t, Tracked*> in_turn;
  for (auto& [hash, tracked] : tracked_) in_turn[tracked.task.turn] = &tracked;
  for (const auto& [turn, tracked] : in_turn) {
    if (tracked->state == State::kQueued) look_at(*tracked, standing, events);
    options_.patience.beat();
  }
  end_too_large(standing.states, events);
}

// A limit on what a user's jobs take together holds back a job that fits as well, while others run.
bool SlurmDriver::never_starts(const Limit& limit, const TaskStates& states,
                               std::optional<bool>& idle) const {
  if (limit.kind == Limit::Kind::kJob) return true;
  if (limit.kind != Limit::Kind::kUser) return false;
  if (idle) return *idle;
  idle = std::none_of(states.begin(), states.end(),
                      [](const auto& state) { return state.second.running(); });
  if (!*idle) return false;
  const process::Said said = options_.patience.ask(
      {"squeue", "--noheader", fmt::format("--user={}", ::getuid()),
       "--states=RUNNING,SUSPENDED,STOPPED,CONFIGURING,COMPLETING", "--format=%i"});
  idle = said.well() && said.out.find_first_not_of(" \n") == std::string::npos;
  return *idle;
}

// Tasks that ask for more than a limit allows would wait for ever. They end, and their jobs fail.
void SlurmDriver::end_too_large(const TaskStates& states, Events& events) {
  std::optional<bool> idle;  // whether no job of the user's runs
  std::vector<std::pair<Tracked*, std::string>> jobs;
  std::map<fs::path, std::map<size_t, std::string>> tasks;
  for (auto& [hash, tracked] : tracked_) {
    const auto state = states.find(tracked.id);
    const bool waits = tracked.state == State::kQueued && state != states.end() &&
                       state->second.state == "PENDING";
    const Limit limit = waits ? limit_of_reason(state->second.reason) : Limit();
    tracked.too_large = never_starts(limit, states, idle) ? tracked.too_large + 1 : 0;
    const auto now = options_.patience.now();
    if (tracked.too_large == 1) tracked.too_large_since = now;
    if (tracked.too_large < kLooksBeforeGone) continue;
    // Slurm says anew why a job waits only when it considers the job again.
    const auto old = kOldReason * options_.patience.second_look;
    if (limit.kind == Limit::Kind::kUser && now - tracked.too_large_since < old) continue;
    const std::string reason = never_starts_text(limit);
    jobs.emplace_back(&tracked, reason);
    tasks[tracked.submission.path][static_cast<size_t>(tracked.id.index)] = reason;
  }
  std::set<fs::path> kept;  // they stay in the queue
  for (const auto& [path, ends] : tasks) {
    if (!take_out(SubmissionFolder{path}, ends, events)) kept.insert(path);
  }
  for (const auto& [tracked, reason] : jobs) {
    if (!kept.contains(tracked->submission.path)) fail(*tracked, reason, 0, events);
  }
}

// Whether they left the queue. The reason is noted first: what is judged later of a cancelled task
// is that.
bool SlurmDriver::take_out(const SubmissionFolder& folder,
                           const std::map<size_t, std::string>& tasks, Events& events) const {
  try {
    const Submission submission = read_submission(folder);
    std::set<size_t> numbers;
    for (const auto& [task, reason] : tasks) {
      Verdict verdict;
      verdict.what = Verdict::What::kFailed;
      verdict.reason = reason;
      note_verdict(folder, task, verdict);
      numbers.insert(task);
    }
    cancel_whole_or_tasks(submission, numbers, options_.patience);
    return true;
  } catch (const Error& failure) {  // it is tried again at the next look, and others go on
    events.push_back({Event::What::kRemark, "", failure.what()});
    return false;
  }
}

void SlurmDriver::look_at(Tracked& tracked, const Standing& standing, Events& events) {
  const std::string& hash = tracked.task.job->hash;
  const auto held = standing.held.find(hash);
  const bool here = held != standing.held.end();
  const bool running = here && held->second.running;
  if (running && !tracked.running) {
    events.push_back({Event::What::kStarted, hash, held->second.reason});
    tracked.running = true;
  }
  if (take_result(tracked, events)) return;
  if (tracked.running) {
    events.push_back({Event::What::kProgress, hash});
    events.back().progress = job::read_progress(folder_of(tracked).progress());
  }
  if (here && !running) {
    if (std::exchange(tracked.running, false)) events.push_back({Event::What::kQueued, hash});
    release(tracked, standing.states, events);
  }
  tracked.missing = here ? 0 : tracked.missing + 1;
  if (tracked.missing >= kLooksBeforeGone) end(tracked, events);
}

// Slurm keeps a task in the queue without ever starting it again, after failed launches say.
void SlurmDriver::release(Tracked& tracked, const TaskStates& states, Events& events) {
  const auto state = states.find(tracked.id);
  if (state == states.end() || tracked.releases >= options_.profile.max_resubmissions) return;
  TaskEvidence known;
  known.state = state->second;
  known.jobs.push_back({tracked.task.job->hash, false, {}, {}});
  const Verdict verdict = judge(known);
  if (verdict.what != Verdict::What::kRequeue) return;
  ++tracked.releases;
  const std::string complaint = put_back(tracked.id, nodes_to_avoid(), options_.patience);
  events.push_back(
      {Event::What::kRemark, tracked.task.job->hash,
       fmt::format("{}; {}", verdict.reason, complaint.empty() ? "it is released" : complaint)});
}

// The result of its task, if it is there. The task program looks at a damaged one as well, and sets
// it aside. What cannot be read now is looked at again while its task is with Slurm.
bool SlurmDriver::take_result(Tracked& tracked, Events& events) {
  const job::JobFolder folder = folder_of(tracked);
  if (!job::find_result(folder, *tracked.task.job).done()) return false;
  tracked.state = State::kDone;
  last_end_ = options_.patience.now();
  const std::string& hash = tracked.task.job->hash;
  events.push_back({Event::What::kProgress, hash});
  events.back().progress = job::read_progress(folder.progress());
  events.push_back({Event::What::kDone, hash});
  const job::Attempts attempts = job::read_attempts(folder.attempts());
  if (attempts.last) events.back().seconds = attempts.last->seconds;
  return true;
}

const TaskEvidence& SlurmDriver::evidence_of(const Tracked& tracked) {
  const auto known = evidence_.find(tracked.id);
  if (known != evidence_.end()) return known->second;
  const Submission submission = read_submission(tracked.submission);
  return evidence_[tracked.id] =
             gather_evidence(tracked.submission, submission, tracked.id.task(), ends_);
}

// Its task is over without a result.
void SlurmDriver::end(Tracked& tracked, Events& events) {
  const std::string& hash = tracked.task.job->hash;
  const job::Result found = job::find_result(folder_of(tracked), *tracked.task.job);
  if (found.kept()) return fail(tracked, found.problem.str(), 0, events);
  const std::vector<std::string>& after = tracked.task.after;
  const bool ready = std::all_of(after.begin(), after.end(), [&](const std::string& maker) {
    const auto known = tracked_.find(maker);
    return known == tracked_.end() || known->second.state == State::kDone;
  });
  if (!ready) {  // Slurm ended it with what it depends on, of which more is known elsewhere
    tracked.state = State::kOver;
    events.push_back({Event::What::kReturned, hash});
    return;
  }
  Verdict verdict;
  try {
    verdict = judge(evidence_of(tracked));
  } catch (const Error& failure) {  // its submission cannot be read: others may be
    return fail(tracked, failure.what(), 0, events);
  }
  if (verdict.what == Verdict::What::kWaiting || verdict.what == Verdict::What::kRunning) {
    evidence_.erase(tracked.id);
    return;
  }
  try {
    note_verdict(tracked.submission, tracked.id.task(), verdict);
  } catch (const Error& failure) {  // what was judged holds all the same
    events.push_back({Event::What::kRemark, hash, failure.what()});
  }
  for (const Verdict::Failed& failed : verdict.failed) {
    if (failed.job == hash) return fail(tracked, failed.reason, 0, events);
  }
  const bool wished = verdict.what == Verdict::What::kFailed && !verdict.dependency;
  Event event{Event::What::kFailed, hash,
              verdict.reason.empty() ? fmt::format("its task {} ended without it", tracked.id.str())
                                     : verdict.reason};
  if (!wished) judge_headway(tracked, evidence_of(tracked), event);
  fail(tracked, std::move(event), events);
}

// A job that is cut into allocations gets further in each, however many it needs. Only those count
// in which it did not.
void SlurmDriver::judge_headway(const Tracked& tracked, const TaskEvidence& evidence,
                                Event& event) const {
  const job::Task& task = tracked.task;
  const Turn turn = turn_of(evidence.events, task.job->hash);
  const double kept = kept_part(folder_of(tracked), turn);
  event.reached = std::max(task.reached, kept);
  event.headway = kept > task.reached || turn == Turn::kNone;
  if (kept > task.reached) event.text += fmt::format("; it came to {:.0f} %", 100 * kept);
  const int64_t most = options_.profile.max_resubmissions;
  event.left = event.headway ? most : most - task.tries;
}

void SlurmDriver::fail(Tracked& tracked, const std::string& reason, int64_t left, Events& events) {
  Event event{Event::What::kFailed, tracked.task.job->hash, reason};
  event.left = left;
  fail(tracked, std::move(event), events);
}

void SlurmDriver::fail(Tracked& tracked, Event event, Events& events) {
  if (std::exchange(tracked.state, State::kOver) == State::kQueued) {
    last_end_ = options_.patience.now();
  }
  tracked.running = false;
  if (event.left <= 0) {
    const fs::path log = folder_of(tracked).log();
    const std::vector<std::string> lines = job::last_lines(log, 0, kLogLines);
    if (!lines.empty()) event.detail = fmt::format("  its log, {}, ends with", log.string());
    for (const std::string& line : lines) event.detail += "\n    | " + line;
    std::error_code ignored;
    const fs::path output = tracked.submission.output(tracked.id.task());
    if (fs::exists(output, ignored)) {
      event.detail +=
          fmt::format("{}  that of its task: {}", lines.empty() ? "" : "\n", output.string());
    }
  }
  events.push_back(std::move(event));
}

// The tasks that have no others. First it is noted: tasks look there before they begin or queue
// again.
void SlurmDriver::cancel(const std::set<std::string>& hashes, const std::string&) {
  std::map<fs::path, std::set<size_t>> tasks;
  for (const std::string& hash : hashes) {
    const auto tracked = tracked_.find(hash);
    if (tracked == tracked_.end()) continue;
    if (tracked->second.state == State::kWaiting) tracked->second.state = State::kOver;
    if (tracked->second.state != State::kQueued) continue;
    tasks[tracked->second.submission.path].insert(tracked->second.id.task());
  }
  std::vector<std::pair<Submission, std::set<size_t>>> ends;
  std::vector<Problem> unnoted;
  for (auto& [path, named] : tasks) {
    Submission submission = read_submission({path});
    std::erase_if(named, [&](size_t task) {
      return !std::all_of(submission.tasks.at(task).begin(), submission.tasks.at(task).end(),
                          [&](const std::string& hash) {
                            const auto known = tracked_.find(hash);
                            return hashes.contains(hash) || known == tracked_.end() ||
                                   known->second.state != State::kQueued;
                          });
    });
    submission.cancelled_tasks.insert(named.begin(), named.end());
    note_taken_back({{path}, submission}, unnoted);
    ends.emplace_back(std::move(submission), std::move(named));
  }
  for (const auto& [submission, named] : ends) {
    try {
      cancel_whole_or_tasks(submission, named, options_.patience);
    } catch (const Error& failure) {  // the others can be cancelled all the same
      unnoted.insert(unnoted.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  if (!unnoted.empty()) throw Error(std::move(unnoted));
}

}  // namespace tarflow::slurm
