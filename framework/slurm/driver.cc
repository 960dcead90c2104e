#include "framework/slurm/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "framework/core/error.h"
#include "framework/job/attempts.h"
#include "framework/job/execute.h"
#include "framework/slurm/by_command.h"
#include "framework/slurm/refusal.h"
#include "framework/slurm/script.h"
#include "framework/slurm/status.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

using job::Event;

// A shared file system may show a result some time after its task has ended.
constexpr int kLooksBeforeGone = 3;
constexpr size_t kLogLines = 15;
// The jobs that fill a limit may be another sweep's, whose ends are not seen here.
constexpr std::chrono::minutes kFullFor{5};

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
  avoided_.insert(known.submission.avoided.begin(), known.submission.avoided.end());
}

const ClusterFacts& SlurmDriver::facts() {
  if (facts_) return *facts_;
  if (options_.profile.by_command()) return facts_.emplace(ClusterFacts{"", 1});
  if (!options_.rehearsal) return facts_.emplace(cluster_facts(options_.patience));
  Patience none = options_.patience;
  none.limit = none.pause = std::chrono::milliseconds(0);
  try {
    return facts_.emplace(cluster_facts(none));
  } catch (const Error&) {
    return facts_.emplace();  // without Slurm: its own default of what an array may have
  }
}

std::vector<Event> SlurmDriver::submit(std::vector<job::Task> tasks) {
  Events events;
  for (job::Task& task : tasks) {
    Tracked& tracked = tracked_[task.job->hash];
    tracked.task = std::move(task);
    tracked.state = State::kWaiting;
  }
  top_up(events);
  return events;
}

void SlurmDriver::top_up(Events& events) {
  return_readers(events);
  // Not by single tasks: each array that is added waits for its turn under max_parallel.
  const auto most = static_cast<size_t>(options_.profile.max_queued);
  if (waiting() == 0 || is_full() || (most > 0 && 2 * open_tasks() > most)) return;
  Turns turns(options_.profile.max_parallel, open_arrays());
  for (TaskArray& array : arrays_of(ready(), options_.profile, facts().most_tasks)) {
    if (most > 0) {
      const size_t open = open_tasks();
      if (open >= most) return;
      array.tasks.resize(std::min(array.tasks.size(), most - open));
    }
    if (!give(array, turns, events)) return;
  }
}

// A file that a maker was to write may be there from before: a reader does not go without its
// maker.
void SlurmDriver::return_readers(Events& events) {
  for (auto& [hash, tracked] : tracked_) {
    if (tracked.state != State::kWaiting) continue;
    const std::vector<std::string>& after = tracked.task.after;
    const bool lost = std::any_of(after.begin(), after.end(), [&](const std::string& maker) {
      const auto known = tracked_.find(maker);
      return known != tracked_.end() && known->second.state == State::kOver;
    });
    if (!lost) continue;
    tracked.state = State::kOver;
    events.push_back({Event::What::kReturned, hash});
  }
}

// Each attempt prepares folders and asks sbatch: none is made while it can only be refused again.
bool SlurmDriver::is_full() {
  if (refused_ &&
      (open_tasks() < refused_->open || options_.patience.now() - refused_->time >= kFullFor)) {
    refused_.reset();
  }
  return refused_.has_value();
}

// In their turns. A reader comes after its makers: Slurm has each of them, or it is done. Another
// queue is not told of the order, so that they have to be done.
std::vector<QueuedJob> SlurmDriver::ready() const {
  std::map<size_t, QueuedJob> in_turn;
  for (const auto& [hash, tracked] : tracked_) {
    if (tracked.state != State::kWaiting) continue;
    const std::vector<std::string>& after = tracked.task.after;
    const bool goes = std::all_of(after.begin(), after.end(), [&](const std::string& maker) {
      const auto known = tracked_.find(maker);
      return known == tracked_.end() || known->second.state == State::kDone ||
             (known->second.state == State::kQueued && !options_.profile.by_command());
    });
    if (goes) in_turn.emplace(tracked.task.turn, queued(tracked));
  }
  std::vector<QueuedJob> jobs;
  for (auto& [turn, job] : in_turn) jobs.push_back(std::move(job));
  return jobs;
}

size_t SlurmDriver::waiting() const {
  return static_cast<size_t>(std::count_if(tracked_.begin(), tracked_.end(), [](const auto& entry) {
    return entry.second.state == State::kWaiting;
  }));
}

size_t SlurmDriver::open_tasks() const {
  std::set<TaskId> open;
  for (const auto& [hash, tracked] : tracked_) {
    if (tracked.state == State::kQueued) open.insert(tracked.id);
  }
  return open.size();
}

QueuedJob SlurmDriver::queued(const Tracked& tracked) const {
  const job::Task& task = tracked.task;
  QueuedJob job{task.job.get(), task.timed, task.seconds, {}, task.awaited};
  std::set<std::string> after;
  for (const std::string& hash : task.after) {
    const auto maker = tracked_.find(hash);
    if (maker != tracked_.end() && maker->second.state == State::kQueued) {
      after.insert(maker->second.id.str());
    }
  }
  job.after.assign(after.begin(), after.end());
  job.attempt = attempts_.of(task.job->hash);
  return job;
}

std::vector<std::string> SlurmDriver::open_arrays() const {
  std::set<std::string> open;
  for (const auto& [hash, tracked] : tracked_) {
    if (tracked.state == State::kQueued) open.insert(tracked.id.array);
  }
  return {open.begin(), open.end()};
}

std::vector<std::string> SlurmDriver::nodes_to_avoid() const {
  std::vector<TaskEvidence> ended;
  for (const auto& [task, evidence] : evidence_) ended.push_back(evidence);
  std::set<std::string> nodes = avoided_;
  for (std::string& node : bad_nodes(ended)) nodes.insert(std::move(node));
  return {nodes.begin(), nodes.end()};
}

Submission SlurmDriver::submission_of(const TaskArray& array, Turns::Turn turn) const {
  Submission submission;
  submission.cluster = facts_ ? facts_->name : "";
  submission.run = array.run;
  submission.attempt = array.attempt;
  submission.after = array.after;
  submission.behind = std::move(turn.behind);
  submission.profile = options_.profile;
  submission.profile.max_parallel = turn.parallel;
  submission.avoided = nodes_to_avoid();
  for (const std::string& node : submission.avoided) {
    std::string& exclude = submission.profile.exclude;
    exclude += (exclude.empty() ? "" : ",") + node;
  }
  submission.programs = options_.programs;
  for (const std::vector<QueuedJob>& task : array.tasks) {
    std::vector<std::string>& hashes = submission.tasks.emplace_back();
    for (const QueuedJob& job : task) {
      hashes.push_back(job.job->hash);
      const int64_t tries = tracked_.at(hashes.back()).task.tries;
      if (tries > 0) submission.tries[hashes.back()] = tries;
      if (job.timed) submission.timed.insert(job.job->hash);
    }
  }
  return submission;
}

bool SlurmDriver::give(const TaskArray& array, Turns& turns, Events& events) {
  Submission submission = submission_of(array, turns.next(array.tasks.size()));
  SubmissionFolder folder;
  if (options_.rehearsal) {
    submission.name = fmt::format("array{}", arrays_.size() + 1);
    submission.job_name =
        fmt::format("{}-{}", options_.sweep_folder.filename().string(), submission.name);
    submission.job_id = fmt::format("ARRAY{}", arrays_.size() + 1);
    folder = {fs::absolute(slurm_folder(options_.sweep_folder) / submission.name)};
    rehearse(submission, folder);
  } else {
    for (std::vector<std::string>& task : submission.tasks) {
      std::erase_if(task,
                    [&](const std::string& hash) { return !prepare(tracked_.at(hash), events); });
    }
    std::erase_if(submission.tasks, [](const auto& task) { return task.empty(); });
    if (submission.tasks.empty()) return true;
    folder = new_submission(fs::absolute(options_.sweep_folder), submission);
    try {
      slurm::submit(folder, submission, fs::current_path(), options_.patience);
    } catch (const Error& failure) {
      const auto* refused = dynamic_cast<const command::Refused*>(&failure);
      if (open_tasks() == 0 || !(refused || says_full(failure.what()))) throw;
      if (refused) events.push_back({Event::What::kRemark, "", failure.problems().front().what});
      std::error_code ignored;
      if (!submission.given_up.empty()) fs::remove_all(folder.path, ignored);
      refused_ = {open_tasks(), options_.patience.now()};
      return false;  // with the end of others there will be room
    }
  }
  turns.given(submission.job_id);
  note(submission, folder);
  return true;
}

// Jobs of another queue are submitted one by one, and many are alike: one of these is shown.
void SlurmDriver::rehearse(const Submission& submission, const SubmissionFolder& folder) {
  if (!options_.profile.by_command()) {
    scripts_ += sbatch_text(submission, folder, fs::current_path()) + "\n";
    return;
  }
  for (auto& [shown, count] : shown_) {
    if (shown.run == submission.run && shown.attempt == submission.attempt) return void(++count);
  }
  shown_.emplace_back(submission, 1);
  scripts_ += submit_preview(submission, folder, fs::current_path()) + "\n";
}

std::string SlurmDriver::scripts() const {
  std::string text = scripts_;
  for (const auto& [shown, count] : shown_) {
    if (count < 2) continue;
    text += fmt::format("and {} more like {}\n", count - 1, shown.job_name);
  }
  return text;
}

// Whether its folder is ready; one that is not costs this job alone.
bool SlurmDriver::prepare(Tracked& tracked, Events& events) {
  options_.patience.beat();
  try {
    job::prepare_folder(*tracked.task.job, folder_of(tracked));
    return true;
  } catch (const Error& failure) {
    tracked.state = State::kOver;
    events.push_back({Event::What::kFailed, tracked.task.job->hash, failure.what()});
    return false;
  }
}

void SlurmDriver::note(const Submission& submission, const SubmissionFolder& folder) {
  arrays_.push_back(submission.job_id);
  for (size_t task = 0; task < submission.tasks.size(); ++task) {
    for (const std::string& hash : submission.tasks[task]) {
      Tracked& tracked = tracked_.at(hash);
      tracked.state = State::kQueued;
      tracked.id = task_id(submission, task);
      tracked.submission = folder;
      tracked.missing = 0;
      attempts_.given(hash);
      ++submitted_;
    }
  }
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
  fail(tracked,
       verdict.reason.empty() ? fmt::format("its task {} ended without it", tracked.id.str())
                              : verdict.reason,
       wished ? 0 : options_.profile.max_resubmissions - tracked.task.tries, events);
}

void SlurmDriver::fail(Tracked& tracked, const std::string& reason, int64_t left, Events& events) {
  tracked.state = State::kOver;
  tracked.running = false;
  Event event{Event::What::kFailed, tracked.task.job->hash, reason};
  event.left = left;
  if (left <= 0) {
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
    if (named.size() == submission.tasks.size()) {
      slurm::cancel(submission, options_.patience);
    } else {
      cancel_tasks(submission, named, options_.patience);
    }
  }
  if (!unnoted.empty()) throw Error(std::move(unnoted));
}

}  // namespace tarflow::slurm
