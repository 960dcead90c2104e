#include "framework/driver/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/core/error.h"
#include "framework/job/attempts.h"

namespace tarflow::driver {
namespace {

using job::Event;

constexpr std::chrono::milliseconds kTick{200};
// `timeout` and some terminals send one signal twice, to the process and to its group.
constexpr std::chrono::milliseconds kSameSignal{500};
// A job that will end this soon is worth waiting for when the sweep is stopped.
constexpr double kNearlyDoneSeconds = 15;

bool nearly_done(const job::WorkerProgress& progress, double elapsed) {
  if (progress.seconds_left > 0) return progress.seconds_left <= kNearlyDoneSeconds;
  if (progress.finishing) return false;  // how long metrics take is not known
  const auto left = job::remaining_seconds(elapsed, progress.fraction());
  return left && *left <= kNearlyDoneSeconds;
}

// Of a job's points, how many are named.
size_t named_in(const process::CancelRequest& request, const job::Job& job) {
  return static_cast<size_t>(
      std::count_if(job.points.begin(), job.points.end(),
                    [&](const job::JobPoint& point) { return request.points.contains(point.id); }));
}

}  // namespace

Loop::Loop(LoopOptions options, job::Executor& executor, job::Progress& progress)
    : options_(std::move(options)), executor_(executor), progress_(progress) {}

void Loop::add(job::Task task, bool given) {
  if (!by_hash_.try_emplace(task.job->hash, entries_.size()).second) return;
  for (const job::JobPoint& point : task.job->points) by_point_[point.key] = entries_.size();
  task.turn = ++last_turn_;
  entries_.push_back({std::move(task), given ? State::kGiven : State::kWaiting});
  ++open_;
}

std::vector<const Loop::Entry*> Loop::makers(const Entry& entry) const {
  std::vector<const Entry*> found;
  for (const std::string& key : entry.task.job->after) {
    const auto maker = by_point_.find(key);
    if (maker != by_point_.end() && &entries_[maker->second] != &entry) {
      found.push_back(&entries_[maker->second]);
    }
  }
  return found;
}

bool Loop::may_give(const Entry& entry) const {
  if (entry.state != State::kWaiting || entry.due > options_.now()) return false;
  const std::vector<const Entry*> before = makers(entry);
  return std::all_of(before.begin(), before.end(), [&](const Entry* maker) {
    return maker->state == State::kDone || (executor_.outlives() && maker->state == State::kGiven);
  });
}

job::Task Loop::task_of(const Entry& entry) const {
  job::Task task = entry.task;
  for (const Entry* maker : makers(entry)) {
    if (maker->state == State::kGiven) task.after.push_back(maker->task.job->hash);
  }
  return task;
}

void Loop::submit() {
  for (const Entry& entry : entries_) {
    for (const std::string& key : entry.task.job->after) {
      const auto maker = by_point_.find(key);
      if (maker != by_point_.end()) entries_[maker->second].task.awaited = true;
    }
  }
  for (;;) {  // those whose makers have numbers first, then those that wait for them
    std::vector<job::Task> ready;
    for (const Entry& entry : entries_) {
      if (may_give(entry)) ready.push_back(task_of(entry));
    }
    if (ready.empty()) return;
    for (const job::Task& task : ready) entries_[by_hash_.at(task.job->hash)].state = State::kGiven;
    take(executor_.submit(std::move(ready)));
  }
}

bool Loop::goes_on() const { return !left_ && (running_ > 0 || (open_ > 0 && !stopping_)); }

bool Loop::quiet() const {
  return executor_.outlives() || std::none_of(entries_.begin(), entries_.end(), [](const Entry& e) {
           return e.running && e.task.timed;
         });
}

Ran Loop::run() {
  try {
    while (goes_on()) step();
  } catch (const std::exception& failure) {
    abandon(fmt::format("run_sweep cannot go on: {}", failure.what()));
    throw;
  }
  return ran_;
}

void Loop::step() {
  options_.check();  // nothing begins in a folder that is another's
  if (!stopping_) submit();
  // A free device waits for nothing.
  const bool ended = take(executor_.poll());
  drop_dependents();
  answer_when_stopped();
  if (!goes_on()) return;
  executor_.hold_timed(options_.page(quiet()));
  progress_.redraw();
  const auto tick = ended ? std::chrono::milliseconds(0) : kTick;
  if (const std::optional<int> signal = options_.wait(tick)) react(*signal);
  options_.check();
  if (!stopping_) {
    const std::optional<process::CancelRequest> request = options_.cancelled();
    if (request && request->all()) {
      ran_.interrupted = true;
      stop_all("the sweep was cancelled");
    } else if (request) {
      cancel(*request);
    }
  }
}

bool Loop::take(const std::vector<Event>& events) {
  bool ended = false;
  for (const Event& event : events) {
    const auto entry = by_hash_.find(event.hash);
    if (event.what == Event::What::kRemark) {
      progress_.message(event.hash.empty() ? event.text
                                           : fmt::format("job {}: {}", event.hash, event.text));
    } else if (entry != by_hash_.end() && !entries_[entry->second].ended()) {
      const bool was_open = entries_[entry->second].state == State::kGiven;
      take(event, entries_[entry->second]);
      ended = ended || (was_open && entries_[entry->second].state != State::kGiven);
    }
  }
  return ended;
}

void Loop::take(const Event& event, Entry& entry) {
  switch (event.what) {
    case Event::What::kStarted:
      return show(entry, event.text);
    case Event::What::kProgress:
      entry.progress = event.progress;
      return progress_.update(event.hash, event.progress);
    case Event::What::kQueued:
      progress_.end_job(event.hash, "queued again", false);
      running_ -= entry.running;
      entry.running = false;
      return;
    case Event::What::kDone:
      return done(entry, event);
    case Event::What::kFailed:
      return fail(entry, event);
    case Event::What::kStopped:
      return stopped(entry);
    case Event::What::kReturned:
      entry.state = State::kWaiting;
      dropping_ = true;
      return;
    case Event::What::kRemark:
      return;
  }
}

void Loop::show(Entry& entry, const std::string& where) {
  const job::Task& task = entry.task;
  progress_.start_job(task.job->hash,
                      where.empty() ? task.label : fmt::format("{} on {}", task.label, where),
                      task.cost);
  running_ += !entry.running;
  entry.running = true;
  entry.begin = options_.now();
}

// Of a job that may never have run: its line is shown all the same.
void Loop::end(Entry& entry, State state, const char* outcome) {
  if (!entry.running) show(entry, "");
  progress_.end_job(entry.task.job->hash, outcome, state != State::kWaiting);
  --running_;
  entry.running = false;
  entry.state = state;
  open_ -= entry.ended();
}

void Loop::done(Entry& entry, const Event& event) {
  const job::Job& job = *entry.task.job;
  end(entry, State::kDone, "done");
  taken_back_.erase(job.hash);
  if (!event.text.empty()) progress_.message(fmt::format("job {}: {}", job.hash, event.text));
  if (event.seconds <= 0) return;
  try {
    options_.done(job, event.seconds);
  } catch (const Error& failure) {  // the job is done all the same
    progress_.message(fmt::format("job {}: {}", job.hash, failure.what()));
  }
}

// The one place that decides whether a job is started or submitted again. The executor says in
// `event.left` how often it may be: local/runner counts `retries`; slurm/driver asks slurm/verdict
// how the task ended and counts submissions without headway (judge_headway). Within an allocation
// slurm/task counts `retries`.
void Loop::fail(Entry& entry, const Event& event) {
  const job::Job& job = *entry.task.job;
  const bool taken_back = taken_back_.erase(job.hash) > 0;
  const bool again = event.left > 0 && !stopping_ && !taken_back;
  const bool on = again && event.headway;
  end(entry, again ? State::kWaiting : State::kFailed, on ? "stopped" : "FAILED");
  std::string text = fmt::format("job {} {}: {}\n  {}", job.hash, on ? "is not done yet" : "failed",
                                 event.text, entry.task.label);
  if (again) {
    entry.task.reached = event.reached;
    if (on) entry.task.tries = 0;
    const double pause = job::pause_before_retry(event.pause, entry.task.tries);
    entry.task.tries += !on;
    entry.due = options_.now() + std::chrono::milliseconds(static_cast<int64_t>(1000 * pause));
    entry.task.turn = ++last_turn_;
    text += executor_.outlives()
                ? "\n  it is submitted again"
                : fmt::format("\n  it is tried again in {:g} s, {} more time{}", std::round(pause),
                              event.left, event.left == 1 ? "" : "s");
  }
  progress_.message(event.detail.empty() ? text : text + "\n" + event.detail);
  if (again) return;
  ++ran_.failed;
  dropping_ = true;
  if (job.run->fail_fast && !stopping_) {
    ran_.failed_fast = true;
    stop_all("another job failed and `fail_fast` is set");
  }
}

void Loop::stopped(Entry& entry) {
  const bool alone = taken_back_.erase(entry.task.job->hash) > 0;
  progress_.end_job(entry.task.job->hash, "stopped", false);
  running_ -= entry.running;
  entry.running = false;
  entry.state = State::kCancelled;
  --open_;
  if (!alone) return;  // the whole sweep stops
  ++ran_.cancelled;
  dropping_ = true;
}

void Loop::drop_dependents() {
  while (std::exchange(dropping_, false)) {
    for (Entry& entry : entries_) {
      if (entry.state != State::kWaiting) continue;
      for (const Entry* maker : makers(entry)) {
        if (maker->state != State::kFailed && maker->state != State::kCancelled) continue;
        const bool failed = maker->state == State::kFailed;
        end(entry, maker->state, "FAILED");
        progress_.message(fmt::format(
            "job {} was not run: job {}, which {}, was to make a file that it reads",
            entry.task.job->hash, maker->task.job->hash, failed ? "failed" : "was cancelled"));
        ++(failed ? ran_.failed : ran_.cancelled);
        dropping_ = true;
        break;
      }
    }
  }
}

// Jobs all of whose points are named end; one that has others as well goes on, since its points
// share their work.
void Loop::cancel(const process::CancelRequest& request) {
  process::CancelAnswer answer;
  answer.id = request.id;
  const size_t before = ran_.cancelled;
  std::set<std::string> ends;
  for (Entry& entry : entries_) {
    const job::Job& job = *entry.task.job;
    const size_t named = entry.ended() ? 0 : named_in(request, job);
    if (named > 0 && named < job.points.size()) answer.shared.push_back(job.hash);
    if (named == 0 || named < job.points.size()) continue;
    ends.insert(job.hash);
    if (entry.running) {
      taken_back_.insert(job.hash);
      ++answer.stopped;
      continue;
    }
    entry.state = State::kCancelled;
    --open_;
    ++ran_.cancelled;
    dropping_ = true;
  }
  executor_.cancel(ends, "it was cancelled");
  drop_dependents();
  answer.dropped = ran_.cancelled - before;
  if (answer.stopped + answer.dropped > 0) {
    progress_.message(fmt::format("cancelled from outside: {} running, {} not begun",
                                  answer.stopped, answer.dropped));
  }
  answer_ = std::move(answer);
}

void Loop::answer_when_stopped() {
  if (!answer_ || !taken_back_.empty()) return;
  options_.answer(*answer_);
  answer_.reset();
}

void Loop::react(int signal) {
  if (stopping_ && ran_.interrupted) {
    if (options_.now() - first_signal_ < kSameSignal) return;
    ran_.aborted = true;
    progress_.message("ending now");
    executor_.kill();
    return;
  }
  ran_.interrupted = true;
  first_signal_ = options_.now();
  stop_all(fmt::format("run_sweep was asked to stop (signal {})", signal));
  if (running_ > 0 && !executor_.outlives()) {
    progress_.message(
        "stopping: running jobs write their progress, nearly finished jobs end first; "
        "Ctrl-C again ends at once");
  }
}

// What an executor keeps goes on, unless a failure ends it.
void Loop::stop_all(const std::string& why) {
  stopping_ = true;
  left_ = executor_.outlives();
  if (left_ && !ran_.failed_fast) return;
  std::set<std::string> ends;
  for (const Entry& entry : entries_) {
    if (entry.state != State::kGiven) continue;
    const double elapsed = std::chrono::duration<double>(options_.now() - entry.begin).count();
    if (entry.running && nearly_done(entry.progress, elapsed)) continue;
    ends.insert(entry.task.job->hash);
  }
  executor_.cancel(ends, why);
}

// Until all have ended: nothing may write into a folder whose lease is given back. Each is killed
// when its grace is over, all at once when the user asks again.
void Loop::abandon(const std::string& why) {
  stopping_ = true;
  if (executor_.outlives()) return;
  std::set<std::string> ends;
  for (const Entry& entry : entries_) {
    if (entry.state == State::kGiven) ends.insert(entry.task.job->hash);
  }
  executor_.cancel(ends, why);
  while (running_ > 0) {
    take(executor_.poll());
    if (options_.wait(std::chrono::milliseconds(20))) executor_.kill();
  }
}

}  // namespace tarflow::driver
