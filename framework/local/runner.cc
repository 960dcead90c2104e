#include "framework/local/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "framework/core/error.h"

namespace tarflow::local {
namespace {

constexpr std::chrono::milliseconds kPoll{200};
// `timeout` and some terminals send one signal twice, to the process and to its group.
constexpr std::chrono::milliseconds kSameSignal{500};
// A job that will end this soon is worth waiting for when the sweep is stopped.
constexpr double kNearlyDoneSeconds = 15;
// So many jobs in a row that could not be started end the sweep.
constexpr int kRefusedStarts = 3;

bool nearly_done(const job::Attempting& attempt) {
  const job::WorkerProgress progress = attempt.progress();
  if (progress.seconds_left > 0) return progress.seconds_left <= kNearlyDoneSeconds;
  const auto left = job::remaining_seconds(attempt.seconds(), progress.fraction());
  return left && *left <= kNearlyDoneSeconds;
}

std::string seconds_text(double seconds) { return fmt::format("{:g} s", std::round(seconds)); }

}  // namespace

Runner::Runner(RunnerOptions options, Pool pool, const process::HeldSignals& signals,
               job::Progress& progress)
    : options_(std::move(options)),
      pool_(std::move(pool)),
      signals_(signals),
      progress_(progress) {}

Ran Runner::run(const std::vector<Task>& tasks) {
  for (const Task& task : tasks) {
    waiting_.push_back({task, 0, {}});
    for (const job::JobPoint& point : task.job->points) open_points_.insert(point.key);
  }
  try {
    while (!running_.empty() || (!waiting_.empty() && !stopping_)) step();
  } catch (const std::exception& failure) {
    stopping_ = true;
    const std::string why = fmt::format("run_sweep cannot go on: {}", failure.what());
    for (Running& running : running_) {
      if (running.waiting.task.job) running.attempt.stop(why, /*failed=*/false, options_.grace);
    }
    wait_for_stopped();
    throw;
  }
  return ran_;
}

void Runner::step() {
  if (!stopping_) start_what_fits();
  progress_.redraw();
  if (const std::optional<int> signal = signals_.wait(kPoll)) react(*signal);
  options_.beat();
  if (!stopping_) {
    const std::optional<process::CancelRequest> request = options_.cancelled();
    if (request && request->all()) {
      ran_.interrupted = true;
      stop_all("the sweep was cancelled");
    } else if (request) {
      cancel(*request);
    }
  }
  for (size_t i = 0; i < running_.size(); ++i) {
    if (running_[i].waiting.task.job) look_after(running_[i]);
  }
  std::erase_if(running_,
                [](const Running& running) { return running.waiting.task.job == nullptr; });
  answer_when_stopped();
}

// In the order of the sweep: a job that needs a whole device is not overtaken for ever by small
// ones.
void Runner::start_what_fits() {
  for (size_t i = 0; i < waiting_.size();) {
    const Task& task = waiting_[i].task;
    if (waiting_[i].due > Clock::now() || waits_for_another(*task.job)) {
      ++i;
      continue;
    }
    const std::optional<Allocation> allocation = pool_.take(*task.job->run, task.timed);
    if (!allocation) return;
    Waiting next = waiting_[i];
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    start(next, *allocation);
  }
}

void Runner::start(const Waiting& waiting, const Allocation& allocation) {
  Waiting next = waiting;
  ++next.attempts;
  const job::Job& job = *next.task.job;
  const job::JobFolder folder{options_.jobs_folder / job.hash};
  const job::Result found = job::find_result(folder, job);
  try {
    if (!found.done() && !found.kept()) {
      running_.push_back(
          {next, allocation,
           job::Attempting(job, folder, launch_for(next.task, allocation), signals_)});
      progress_.start_job(job.hash, next.task.label, next.task.cost);
      refused_starts_ = 0;
      return;
    }
  } catch (const Error& failure) {
    // One folder may be bad. When several in a row are, it is the disk: the sweep ends.
    if (++refused_starts_ >= kRefusedStarts) throw;
    cannot_start(next, allocation, failure.what());
    return;
  }
  if (!found.done()) return cannot_start(next, allocation, found.problem.str());
  pool_.give_back(allocation);  // it could not be read before, say
  progress_.start_job(job.hash, next.task.label, next.task.cost);
  progress_.end_job(job.hash, "done", true);
  for (const job::JobPoint& point : job.points) open_points_.erase(point.key);
}

void Runner::cannot_start(const Waiting& waiting, const Allocation& allocation,
                          const std::string& reason) {
  const job::Job& job = *waiting.task.job;
  pool_.give_back(allocation);
  progress_.start_job(job.hash, waiting.task.label, waiting.task.cost);
  job::Outcome outcome;
  outcome.reason = reason;
  outcome.log = job::JobFolder{options_.jobs_folder / job.hash}.log();
  fail(waiting, outcome);
}

bool Runner::waits_for_another(const job::Job& job) const {
  return std::any_of(job.after.begin(), job.after.end(),
                     [&](const std::string& key) { return open_points_.contains(key); });
}

void Runner::drop_dependents(const job::Job& maker, const std::string& why, size_t& count) {
  const auto reads = [&](const Waiting& waiting) {
    const std::vector<std::string>& after = waiting.task.job->after;
    return std::any_of(maker.points.begin(), maker.points.end(), [&](const job::JobPoint& point) {
      return std::find(after.begin(), after.end(), point.key) != after.end();
    });
  };
  for (const Waiting& waiting : std::vector<Waiting>(waiting_.begin(), waiting_.end())) {
    if (!reads(waiting)) continue;
    const job::Job& job = *waiting.task.job;
    const auto same = [&](const Waiting& other) { return other.task.job == &job; };
    if (std::erase_if(waiting_, same) == 0) continue;  // it read several such files
    progress_.start_job(job.hash, waiting.task.label, waiting.task.cost);
    progress_.end_job(job.hash, "FAILED", true);
    progress_.message(
        fmt::format("job {} was not run: job {}, which {}, was to make a file that it reads",
                    job.hash, maker.hash, why));
    ++count;
    drop_dependents(job, why, count);
  }
}

namespace {

// Of a job's points, how many are named.
size_t named_in(const process::CancelRequest& request, const job::Job& job) {
  return static_cast<size_t>(
      std::count_if(job.points.begin(), job.points.end(),
                    [&](const job::JobPoint& point) { return request.points.contains(point.id); }));
}

}  // namespace

// Jobs all of whose points are named end; one that has others as well goes on, since its points
// share their work.
void Runner::cancel(const process::CancelRequest& request) {
  process::CancelAnswer answer;
  answer.id = request.id;
  const auto ends = [&](const job::Job& job) {
    const size_t named = named_in(request, job);
    if (named > 0 && named < job.points.size()) answer.shared.push_back(job.hash);
    return named > 0 && named == job.points.size();
  };
  for (Running& running : running_) {
    const job::Job* job = running.waiting.task.job;
    if (!job || !ends(*job)) continue;
    running.attempt.stop("it was cancelled", /*failed=*/false, options_.grace);
    taken_back_.insert(job->hash);
    ++answer.stopped;
  }
  std::vector<const job::Job*> dropped;
  for (const Waiting& waiting : waiting_) {
    if (ends(*waiting.task.job)) dropped.push_back(waiting.task.job);
  }
  for (const job::Job* job : dropped) {
    std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.task.job == job; });
    for (const job::JobPoint& point : job->points) open_points_.erase(point.key);
    ++answer.dropped;
    drop_dependents(*job, "was cancelled", answer.dropped);
  }
  ran_.cancelled += answer.dropped;
  if (answer.stopped + answer.dropped > 0) {
    progress_.message(fmt::format("cancelled from outside: {} running, {} not begun",
                                  answer.stopped, answer.dropped));
  }
  answer_ = std::move(answer);
}

void Runner::answer_when_stopped() {
  if (!answer_ || !taken_back_.empty()) return;
  options_.answer(*answer_);
  answer_.reset();
}

job::Launch Runner::launch_for(const Task& task, const Allocation& allocation) const {
  job::Launch launch{options_.worker, {}, {}};
  if (task.timed && allocation.exclusive) launch.arguments.push_back("--exclusive");
  // Said even of one: a worker that looked at its surroundings might take itself for a rank of the
  // job that run_sweep itself is. The ranks divide the threads.
  launch.arguments.insert(launch.arguments.end(),
                          {"--ranks", fmt::format("{}", allocation.ranks), "--threads",
                           fmt::format("{}", allocation.ranks * allocation.threads)});
  launch.variables["OMP_NUM_THREADS"] = fmt::format("{}", allocation.threads);
  // By default threads spin for a millisecond where they wait for each other. On a machine that
  // does something else as well, each such wait would cost the time slice of whom they wait for.
  if (!std::getenv("OMP_WAIT_POLICY") && !std::getenv("GOMP_SPINCOUNT")) {
    launch.variables["GOMP_SPINCOUNT"] = "20000";
  }
  if (const auto devices = pool_.visible_devices(allocation)) {
    launch.variables["CUDA_VISIBLE_DEVICES"] = *devices;
    launch.variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID";
  }
  return launch;
}

// Sets its job to nullptr when the attempt has ended.
void Runner::look_after(Running& running) {
  const Task& task = running.waiting.task;
  progress_.update(task.job->hash, running.attempt.progress());
  if (const std::optional<job::Outcome> outcome = running.attempt.poll()) {
    end(running, *outcome);
    return;
  }
  const double limit = task.job->run->time_limit;
  if (limit > 0 && running.attempt.seconds() > limit) {
    running.attempt.stop(fmt::format("it reached its time limit of {}", job::duration(limit)),
                         /*failed=*/true, options_.grace);
  }
}

void Runner::end(Running& running, const job::Outcome& outcome) {
  const Waiting ended = std::move(running.waiting);
  running.waiting.task.job = nullptr;
  const job::Job& job = *ended.task.job;
  progress_.update(job.hash, running.attempt.progress());
  pool_.give_back(running.allocation);
  const bool taken_back = taken_back_.erase(job.hash) > 0;
  if (outcome.kind == job::Outcome::Kind::kFailed) return fail(ended, outcome);
  for (const job::JobPoint& point : job.points) open_points_.erase(point.key);
  if (outcome.kind == job::Outcome::Kind::kStopped) {
    progress_.end_job(job.hash, "stopped", false);
    if (!taken_back) return;
    ++ran_.cancelled;
    drop_dependents(job, "was cancelled", ran_.cancelled);
    return;
  }
  progress_.end_job(job.hash, "done", true);
  if (!outcome.reason.empty())
    progress_.message(fmt::format("job {}: {}", job.hash, outcome.reason));
  try {
    options_.done(job, outcome.seconds);
  } catch (const Error& failure) {  // the job is done all the same
    progress_.message(fmt::format("job {}: {}", job.hash, failure.what()));
  }
}

void Runner::fail(const Waiting& waiting, const job::Outcome& outcome) {
  const job::Job& job = *waiting.task.job;
  const int retries_left = static_cast<int>(job.run->retries) + 1 - waiting.attempts;
  const bool again = retries_left > 0 && !stopping_;
  progress_.end_job(job.hash, "FAILED", !again);
  std::string next;
  if (again) {
    const double pause = job.run->backoff * std::pow(2.0, waiting.attempts - 1);
    next = fmt::format("it is tried again in {}, {} more time{}", seconds_text(pause), retries_left,
                       retries_left == 1 ? "" : "s");
    waiting_.push_back(waiting);
    waiting_.back().due =
        Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1000 * pause));
  }
  report_failure(waiting.task, outcome, next);
  if (again) return;
  ++ran_.failed;
  if (job.run->fail_fast && !stopping_) {
    ran_.failed_fast = true;
    stop_all("another job failed and `fail_fast` is set");
  }
  for (const job::JobPoint& point : job.points) open_points_.erase(point.key);
  drop_dependents(job, "failed", ran_.failed);
}

void Runner::report_failure(const Task& task, const job::Outcome& outcome,
                            const std::string& next) {
  std::string text =
      fmt::format("job {} failed: {}\n  {}\n", task.job->hash, outcome.reason, task.label);
  if (!next.empty()) text += fmt::format("  {}\n", next);
  text += fmt::format("  its log, {}, ends with", outcome.log.string());
  for (const std::string& line : outcome.log_end) text += "\n    | " + line;
  if (outcome.log_end.empty()) text += "\n    | (it printed nothing)";
  progress_.message(text);
}

void Runner::react(int signal) {
  if (stopping_ && ran_.interrupted) {
    if (Clock::now() - first_signal_ < kSameSignal) return;
    ran_.aborted = true;
    progress_.message("ending now");
    kill_all();
    return;
  }
  ran_.interrupted = true;
  first_signal_ = Clock::now();
  stop_all(fmt::format("run_sweep was asked to stop (signal {})", signal));
  if (!running_.empty()) {
    progress_.message(
        "stopping: running jobs write their progress, nearly finished jobs end first; "
        "Ctrl-C again ends at once");
  }
}

void Runner::stop_all(const std::string& why) {
  stopping_ = true;
  for (Running& running : running_) {
    if (running.waiting.task.job && !nearly_done(running.attempt)) {
      running.attempt.stop(why, /*failed=*/false, options_.grace);
    }
  }
}

// Until all have ended: nothing may write into a folder whose lease is given back. Each is killed
// when its grace is over, all at once when the user asks again.
void Runner::wait_for_stopped() {
  const auto open = [&] {
    return std::any_of(running_.begin(), running_.end(),
                       [](const Running& running) { return running.waiting.task.job != nullptr; });
  };
  while (open()) {
    for (Running& running : running_) {
      if (!running.waiting.task.job) continue;
      try {
        if (running.attempt.poll()) running.waiting.task.job = nullptr;
      } catch (const Error&) {  // there is no such process
        running.waiting.task.job = nullptr;
      }
    }
    const std::optional<int> signal = signals_.wait(std::chrono::milliseconds(20));
    for (Running& running : running_) {
      if (signal && running.waiting.task.job) running.attempt.kill();
    }
  }
}

// Where the user asks a second time.
void Runner::kill_all() {
  for (Running& running : running_) {
    if (running.waiting.task.job) running.attempt.kill();
  }
  wait_for_stopped();
}

}  // namespace tarflow::local
