#include "framework/slurm/driver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "framework/core/error.h"
#include "framework/job/attempts.h"
#include "framework/job/execute.h"
#include "framework/job/store.h"
#include "framework/slurm/script.h"
#include "framework/slurm/status.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::milliseconds kTick{200};
// A shared file system may show a result some time after its task has ended.
constexpr int kLooksBeforeGone = 3;
constexpr size_t kLogLines = 15;

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

SlurmDriver::SlurmDriver(SlurmOptions options, const job::Plan& plan,
                         const ExperimentSchemas& schemas, job::Estimator& estimator)
    : options_(std::move(options)),
      plan_(plan),
      schemas_(schemas),
      estimator_(estimator),
      queue_(patience()) {}

job::JobFolder SlurmDriver::folder_of(const Tracked& tracked) const {
  return {plan_.jobs_folder() / tracked.job->hash};
}

Patience SlurmDriver::patience() const {
  Patience patience;
  patience.second_look = second_look_of(options_.profile);
  patience.notice = options_.say;
  patience.beat = options_.beat;
  return patience;
}

void SlurmDriver::track(std::shared_ptr<const job::Job> job, State state) {
  const std::string hash = job->hash;
  const auto [entry, fresh] = tracked_.try_emplace(hash);
  if (!fresh) return;
  Tracked& tracked = entry->second;
  tracked.label = job::job_label(plan_, *job);
  tracked.timed = job::schema_of(schemas_, job->experiment).timed;
  for (const job::JobPoint& point : job->points) job_of_point_[point.key] = hash;
  tracked.job = std::move(job);
  tracked.state = state;
  order_.push_back(hash);
}

SlurmRan SlurmDriver::submit(const job::Jobs& jobs, const Standing& standing) {
  for (const auto& [hash, held] : standing.held) {
    try {
      track(std::make_shared<const job::Job>(
                job::read_job(job::JobFolder{plan_.jobs_folder() / hash}.job())),
            State::kQueued);
    } catch (const Error&) {
      continue;  // its folder was removed: nothing of it can be waited for
    }
    Tracked& tracked = tracked_.at(hash);
    const KnownSubmission& known = standing.submissions[held.submission];
    tracked.submission = known.folder;
    tracked.task = {known.submission.job_id, static_cast<int64_t>(held.task)};
  }
  ran_.held = tracked_.size();
  for (const job::Job& job : jobs) track(std::make_shared<const job::Job>(job), State::kToSubmit);
  submit_due();
  return ran_;
}

std::vector<const SlurmDriver::Tracked*> SlurmDriver::makers(const Tracked& tracked) const {
  std::vector<const Tracked*> found;
  for (const std::string& key : tracked.job->after) {
    const auto hash = job_of_point_.find(key);
    if (hash == job_of_point_.end()) continue;
    const Tracked* maker = &tracked_.at(hash->second);
    if (maker != &tracked) found.push_back(maker);
  }
  return found;
}

bool SlurmDriver::may_submit(const Tracked& tracked) const {
  if (tracked.state != State::kToSubmit) return false;
  const std::vector<const Tracked*> before = makers(tracked);
  return std::none_of(before.begin(), before.end(), [](const Tracked* maker) {
    return maker->state == State::kToSubmit || maker->state == State::kFailed;
  });
}

QueuedJob SlurmDriver::queued(const Tracked& tracked) const {
  QueuedJob job{tracked.job.get(), tracked.timed, {}, {}, false};
  const job::Estimate estimate = estimator_.estimate(*tracked.job);
  if (!estimate.bound) job.seconds = estimate.seconds;
  std::set<std::string> after;
  for (const Tracked* maker : makers(tracked)) {
    if (maker->state == State::kQueued) after.insert(maker->task.str());
  }
  job.after.assign(after.begin(), after.end());
  return job;
}

std::vector<std::string> SlurmDriver::open_arrays() const {
  std::set<std::string> open;
  for (const auto& [hash, tracked] : tracked_) {
    if (tracked.state == State::kQueued) open.insert(tracked.task.array);
  }
  return {open.begin(), open.end()};
}

// Those whose makers have numbers first, then those that wait for them.
void SlurmDriver::submit_due() {
  std::set<std::string> awaited;
  for (const auto& [hash, tracked] : tracked_) {
    for (const Tracked* maker : makers(tracked)) awaited.insert(maker->job->hash);
  }
  Turns turns(options_.profile.max_parallel, open_arrays());
  for (;;) {
    std::vector<QueuedJob> ready;
    for (const std::string& hash : order_) {
      const Tracked& tracked = tracked_.at(hash);
      if (!may_submit(tracked)) continue;
      ready.push_back(queued(tracked));
      ready.back().alone = awaited.contains(hash);
    }
    if (ready.empty()) return;
    if (!facts_) facts_ = cluster_facts(patience());
    for (const TaskArray& array : arrays_of(ready, options_.profile, facts_->most_tasks)) {
      give(array, turns);
    }
  }
}

std::vector<std::string> SlurmDriver::nodes_to_avoid() const {
  std::vector<TaskEvidence> ended;
  for (const auto& [task, evidence] : evidence_) ended.push_back(evidence);
  return bad_nodes(ended);
}

Submission SlurmDriver::submission_of(const TaskArray& array, Turns::Turn turn) const {
  Submission submission;
  submission.cluster = facts_->name;
  submission.run = array.run;
  submission.after = array.after;
  submission.behind = std::move(turn.behind);
  submission.profile = options_.profile;
  submission.profile.max_parallel = turn.parallel;
  for (const std::string& node : nodes_to_avoid()) {
    std::string& exclude = submission.profile.exclude;
    exclude += (exclude.empty() ? "" : ",") + node;
  }
  submission.programs = options_.programs;
  for (const std::vector<QueuedJob>& task : array.tasks) {
    std::vector<std::string>& hashes = submission.tasks.emplace_back();
    for (const QueuedJob& job : task) {
      hashes.push_back(job.job->hash);
      if (job.timed) submission.timed.insert(job.job->hash);
    }
  }
  return submission;
}

void SlurmDriver::give(const TaskArray& array, Turns& turns) {
  Submission submission = submission_of(array, turns.next(array.tasks.size()));
  if (dry_) {
    submission.name = fmt::format("array{}", ran_.arrays.size() + 1);
    submission.job_name = fmt::format("{}-{}", plan_.sweep.name, submission.name);
    submission.job_id = fmt::format("ARRAY{}", ran_.arrays.size() + 1);
    const SubmissionFolder folder{fs::absolute(slurm_folder(plan_.folder) / submission.name)};
    scripts_ += sbatch_text(submission, folder, fs::current_path()) + "\n";
    turns.given(submission.job_id);
    return note(submission, folder);
  }
  for (std::vector<std::string>& task : submission.tasks) {
    std::erase_if(task, [&](const std::string& hash) { return !prepare(tracked_.at(hash)); });
  }
  std::erase_if(submission.tasks, [](const auto& task) { return task.empty(); });
  if (submission.tasks.empty()) return;
  const SubmissionFolder folder = new_submission(fs::absolute(plan_.folder), submission);
  slurm::submit(folder, submission, fs::current_path(), patience());
  turns.given(submission.job_id);
  note(submission, folder);
}

// Whether its folder is ready; one that is not costs this job alone.
bool SlurmDriver::prepare(Tracked& tracked) {
  options_.beat();
  try {
    job::prepare_folder(*tracked.job, folder_of(tracked));
    return true;
  } catch (const Error& failure) {
    tracked.state = State::kFailed;
    ++ran_.failed;
    options_.say(
        fmt::format("job {} failed: {}\n  {}", tracked.job->hash, failure.what(), tracked.label));
    return false;
  }
}

void SlurmDriver::note(const Submission& submission, const SubmissionFolder& folder) {
  ran_.arrays.push_back(submission.job_id);
  for (size_t task = 0; task < submission.tasks.size(); ++task) {
    for (const std::string& hash : submission.tasks[task]) {
      Tracked& tracked = tracked_.at(hash);
      tracked.state = State::kQueued;
      tracked.task = {submission.job_id, static_cast<int64_t>(task)};
      tracked.submission = folder;
      tracked.missing = 0;
      ++ran_.submitted;
    }
  }
}

std::string SlurmDriver::dry_run(const job::Jobs& jobs) {
  dry_ = true;
  facts_ = ClusterFacts{};
  try {
    Patience none;
    none.limit = std::chrono::milliseconds(0);
    none.pause = std::chrono::milliseconds(0);
    facts_ = cluster_facts(none);
  } catch (const Error&) {
    // Without Slurm: its own default of what an array may have.
  }
  submit(jobs, {});
  return scripts_;
}

bool SlurmDriver::all_ended() const {
  return std::all_of(tracked_.begin(), tracked_.end(), [](const auto& entry) {
    return entry.second.state == State::kDone || entry.second.state == State::kFailed;
  });
}

SlurmRan SlurmDriver::wait(const process::HeldSignals& signals, job::Progress& progress) {
  Clock::time_point next = Clock::now();
  while (!all_ended()) {
    progress.redraw();
    if (signals.wait(kTick)) {
      ran_.interrupted = true;
      break;
    }
    options_.beat();
    if (options_.cancelled()) {
      ran_.interrupted = true;
      break;
    }
    if (Clock::now() < next) continue;
    const bool known = look(progress);
    if (ran_.failed_fast) break;
    if (known) submit_due();
    next = Clock::now() + options_.poll;
  }
  return ran_;
}

// Whether all could be seen: nothing is concluded while a submission cannot be read.
bool SlurmDriver::look(job::Progress& progress) {
  Standing standing = standing_of(plan_.folder, queue_, patience(),
                                  [&](const Problem& problem) { progress.message(problem.str()); });
  if (standing.unread) return false;
  for (const auto& [id, state] : standing.states) {
    state.over() ? static_cast<void>(ends_[id] = state) : static_cast<void>(ends_.erase(id));
  }
  for (const std::string& hash : order_) {
    Tracked& tracked = tracked_.at(hash);
    if (tracked.state == State::kQueued) look_at(tracked, standing, progress);
    options_.beat();
  }
  for (const std::string& hash : order_) {
    Tracked& tracked = tracked_.at(hash);
    if (tracked.state != State::kToSubmit) continue;
    for (const Tracked* maker : makers(tracked)) {
      if (tracked.state == State::kFailed || maker->state != State::kFailed) continue;
      fail(tracked,
           fmt::format("a file it reads was to be made by job {}, which failed", maker->job->hash),
           progress);
    }
  }
  if (ran_.failed_fast) take_back(standing, patience());
  return true;
}

void SlurmDriver::look_at(Tracked& tracked, const Standing& standing, job::Progress& progress) {
  const std::string& hash = tracked.job->hash;
  const auto held = standing.held.find(hash);
  const bool here = held != standing.held.end();
  const bool running = here && held->second.running;
  if (running && !tracked.shown) {
    progress.start_job(hash, fmt::format("{} on {}", tracked.label, held->second.reason),
                       tracked.job->points.size());
    tracked.shown = true;
  }
  if (take_result(tracked, progress)) return;
  if (tracked.shown) progress.update(hash, job::read_progress(folder_of(tracked).progress()));
  if (tracked.shown && here && !running) {
    progress.end_job(hash, "queued again", false);
    tracked.shown = false;
  }
  if (here && !running) release(tracked, standing.states, progress);
  tracked.missing = here ? 0 : tracked.missing + 1;
  if (tracked.missing >= kLooksBeforeGone) end(tracked, ends_, progress);
}

// Slurm keeps a task in the queue without ever starting it again, after failed launches say.
void SlurmDriver::release(Tracked& tracked, const TaskStates& states, job::Progress& progress) {
  const auto state = states.find(tracked.task);
  if (state == states.end() || tracked.resubmissions >= options_.profile.max_resubmissions) return;
  TaskEvidence known;
  known.state = state->second;
  known.jobs.push_back({tracked.job->hash, false, {}, {}});
  const Verdict verdict = judge(known);
  if (verdict.what != Verdict::What::kRequeue) return;
  ++tracked.resubmissions;
  const std::string complaint = put_back(tracked.task, nodes_to_avoid(), patience());
  progress.message(fmt::format("job {}: {}; {}", tracked.job->hash, verdict.reason,
                               complaint.empty() ? "it is released" : complaint));
}

// The result of its task, if it is there.
bool SlurmDriver::take_result(Tracked& tracked, job::Progress& progress) {
  const job::JobFolder folder = folder_of(tracked);
  // The task program looks at a damaged one as well, and sets it aside. What cannot be read now is
  // looked at again while its task is with Slurm.
  if (!job::find_result(folder, *tracked.job).done()) return false;
  const std::string& hash = tracked.job->hash;
  if (!tracked.shown) progress.start_job(hash, tracked.label, tracked.job->points.size());
  progress.update(hash, job::read_progress(folder.progress()));
  progress.end_job(hash, "done", true);
  tracked.state = State::kDone;
  const job::Attempts attempts = job::read_attempts(folder.attempts());
  if (attempts.last && attempts.last->seconds > 0) {
    options_.done(*tracked.job, attempts.last->seconds);
  }
  return true;
}

const TaskEvidence& SlurmDriver::evidence_of(const Tracked& tracked, const TaskStates& states) {
  const auto known = evidence_.find(tracked.task);
  if (known != evidence_.end()) return known->second;
  const Submission submission = read_submission(tracked.submission);
  return evidence_[tracked.task] = gather_evidence(tracked.submission, submission,
                                                   static_cast<size_t>(tracked.task.index), states);
}

// Its task is over without a result.
void SlurmDriver::end(Tracked& tracked, const TaskStates& states, job::Progress& progress) {
  const job::Result found = job::find_result(folder_of(tracked), *tracked.job);
  if (found.kept()) return fail(tracked, found.problem.str(), progress);
  const std::vector<const Tracked*> before = makers(tracked);
  const bool ready = std::all_of(before.begin(), before.end(),
                                 [](const Tracked* maker) { return maker->state == State::kDone; });
  if (!ready) {  // Slurm ended it with what it depends on, of which more is known elsewhere
    tracked.state = State::kToSubmit;
    return;
  }
  const Verdict verdict = judge(evidence_of(tracked, states));
  if (verdict.what == Verdict::What::kWaiting || verdict.what == Verdict::What::kRunning) {
    evidence_.erase(tracked.task);
    return;
  }
  note_verdict(tracked.submission, static_cast<size_t>(tracked.task.index), verdict);
  for (const Verdict::Failed& failed : verdict.failed) {
    if (failed.job == tracked.job->hash) return fail(tracked, failed.reason, progress);
  }
  const std::string reason = verdict.reason.empty()
                                 ? fmt::format("its task {} ended without it", tracked.task.str())
                                 : verdict.reason;
  const bool wished = verdict.what == Verdict::What::kFailed && !verdict.dependency;
  if (wished || tracked.resubmissions >= options_.profile.max_resubmissions) {
    return fail(tracked, reason, progress);
  }
  ++tracked.resubmissions;
  submit_again(tracked, reason, progress);
}

void SlurmDriver::submit_again(Tracked& tracked, const std::string& reason,
                               job::Progress& progress) {
  if (tracked.shown) progress.end_job(tracked.job->hash, "FAILED", false);
  tracked.shown = false;
  progress.message(fmt::format("job {}: {}\n  {}\n  it is submitted again", tracked.job->hash,
                               reason, tracked.label));
  tracked.state = State::kToSubmit;
}

void SlurmDriver::fail(Tracked& tracked, const std::string& reason, job::Progress& progress) {
  const std::string& hash = tracked.job->hash;
  if (!tracked.shown) progress.start_job(hash, tracked.label, tracked.job->points.size());
  progress.end_job(hash, "FAILED", true);
  tracked.shown = false;
  tracked.state = State::kFailed;
  ++ran_.failed;
  ran_.failed_fast = ran_.failed_fast || tracked.job->run->fail_fast;
  std::string text = fmt::format("job {} failed: {}\n  {}", hash, reason, tracked.label);
  const fs::path log = folder_of(tracked).log();
  const std::vector<std::string> lines = job::last_lines(log, 0, kLogLines);
  if (!lines.empty()) text += fmt::format("\n  its log, {}, ends with", log.string());
  for (const std::string& line : lines) text += "\n    | " + line;
  std::error_code ignored;
  const fs::path output = tracked.task.index < 0
                              ? fs::path()
                              : tracked.submission.output(static_cast<size_t>(tracked.task.index));
  if (!output.empty() && fs::exists(output, ignored)) {
    text += fmt::format("\n  that of its task: {}", output.string());
  }
  progress.message(text);
}

}  // namespace tarflow::slurm
