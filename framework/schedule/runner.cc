#include "framework/schedule/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "framework/core/error.h"

namespace tarflow::schedule {
namespace {

constexpr std::chrono::milliseconds kPoll{200};
// `timeout` and some terminals send one signal twice, to the process and to its group.
constexpr std::chrono::milliseconds kSameSignal{500};
// A job that will end this soon is worth waiting for when the sweep is stopped.
constexpr double kNearlyDoneSeconds = 15;

bool nearly_done(const Attempting& attempt) {
  const WorkerProgress progress = attempt.progress();
  if (progress.seconds_left > 0) return progress.seconds_left <= kNearlyDoneSeconds;
  const auto left = remaining_seconds(attempt.seconds(), progress.fraction());
  return left && *left <= kNearlyDoneSeconds;
}

std::string seconds_text(double seconds) { return fmt::format("{:g} s", std::round(seconds)); }

}  // namespace

Runner::Runner(RunnerOptions options, Pool pool, const HeldSignals& signals, Progress& progress)
    : options_(std::move(options)),
      pool_(std::move(pool)),
      signals_(signals),
      progress_(progress) {}

Ran Runner::run(const std::vector<Task>& tasks) {
  for (const Task& task : tasks) {
    waiting_.push_back({task, 0, {}});
    for (const JobPoint& point : task.job->points) open_points_.insert(point.key);
  }
  try {
    while (!running_.empty() || (!waiting_.empty() && !stopping_)) {
      if (!stopping_) start_what_fits();
      progress_.redraw();
      if (const std::optional<int> signal = signals_.wait(kPoll)) react(*signal);
      options_.beat();
      if (!stopping_ && options_.cancelled()) {
        ran_.interrupted = true;
        stop_all("the sweep was cancelled");
      }
      for (size_t i = 0; i < running_.size(); ++i) {
        if (running_[i].waiting.task.job) look_after(running_[i]);
      }
      std::erase_if(running_,
                    [](const Running& running) { return running.waiting.task.job == nullptr; });
    }
  } catch (...) {
    kill_all();
    throw;
  }
  return ran_;
}

// In the order of the sweep: a job that needs a whole device is not overtaken for ever by small
// ones.
void Runner::start_what_fits() {
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    if (next->due > Clock::now() || waits_for_another(*next->task.job)) {
      ++next;
      continue;
    }
    const Task& task = next->task;
    const std::optional<Allocation> allocation = pool_.take(*task.job->run, task.timed);
    if (!allocation) return;
    ++next->attempts;
    const JobFolder folder{options_.jobs_folder / task.job->hash};
    running_.push_back({*next, *allocation,
                        Attempting(*task.job, folder, launch_for(task, *allocation), signals_)});
    progress_.start_job(task.job->hash, task.label, task.cost);
    next = waiting_.erase(next);
  }
}

bool Runner::waits_for_another(const Job& job) const {
  return std::any_of(job.after.begin(), job.after.end(),
                     [&](const std::string& key) { return open_points_.contains(key); });
}

void Runner::fail_dependents(const Job& maker) {
  const auto reads = [&](const Waiting& waiting) {
    const std::vector<std::string>& after = waiting.task.job->after;
    return std::any_of(maker.points.begin(), maker.points.end(), [&](const JobPoint& point) {
      return std::find(after.begin(), after.end(), point.key) != after.end();
    });
  };
  for (const Waiting& waiting : std::vector<Waiting>(waiting_.begin(), waiting_.end())) {
    if (!reads(waiting)) continue;
    const Job& job = *waiting.task.job;
    const auto same = [&](const Waiting& other) { return other.task.job == &job; };
    if (std::erase_if(waiting_, same) == 0) continue;  // it read several such files
    progress_.start_job(job.hash, waiting.task.label, waiting.task.cost);
    progress_.end_job(job.hash, "FAILED", true);
    progress_.message(
        fmt::format("job {} was not run: job {}, which failed, was to make a file that "
                    "it reads",
                    job.hash, maker.hash));
    ++ran_.failed;
    fail_dependents(job);
  }
}

Launch Runner::launch_for(const Task& task, const Allocation& allocation) const {
  Launch launch{options_.worker, {}, {}};
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
  if (const std::optional<Outcome> outcome = running.attempt.poll()) {
    end(running, *outcome);
    return;
  }
  const double limit = task.job->run->time_limit;
  if (limit > 0 && running.attempt.seconds() > limit) {
    running.attempt.stop(fmt::format("it reached its time limit of {}", duration(limit)),
                         /*failed=*/true, options_.grace);
  }
}

void Runner::end(Running& running, const Outcome& outcome) {
  const Job& job = *running.waiting.task.job;
  progress_.update(job.hash, running.attempt.progress());
  pool_.give_back(running.allocation);
  const int retries_left = static_cast<int>(job.run->retries) + 1 - running.waiting.attempts;
  const bool again = outcome.kind == Outcome::Kind::kFailed && retries_left > 0 && !stopping_;
  if (outcome.kind == Outcome::Kind::kDone) {
    progress_.end_job(job.hash, "done", true);
    options_.done(job, outcome.seconds);
  } else if (outcome.kind == Outcome::Kind::kStopped) {
    progress_.end_job(job.hash, "stopped", false);
  } else {
    progress_.end_job(job.hash, "FAILED", !again);
    std::string next;
    if (again) {
      const double pause = job.run->backoff * std::pow(2.0, running.waiting.attempts - 1);
      next = fmt::format("it is tried again in {}, {} more time{}", seconds_text(pause),
                         retries_left, retries_left == 1 ? "" : "s");
      running.waiting.due =
          Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1000 * pause));
      waiting_.push_back(running.waiting);
    }
    report_failure(running, outcome, next);
    if (!again) ++ran_.failed;
    if (!again && job.run->fail_fast && !stopping_) {
      ran_.failed_fast = true;
      stop_all("another job failed and `fail_fast` is set");
    }
  }
  if (!again) {
    for (const JobPoint& point : job.points) open_points_.erase(point.key);
    if (outcome.kind == Outcome::Kind::kFailed) fail_dependents(job);
  }
  running.waiting.task.job = nullptr;
}

void Runner::report_failure(const Running& running, const Outcome& outcome,
                            const std::string& next) {
  const Task& task = running.waiting.task;
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
        "stopping: running jobs keep what they have reached, nearly finished ones end first; "
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

// Waits for them as well: nothing may write into a folder whose lease is given back.
void Runner::kill_all() {
  for (Running& running : running_) {
    if (running.waiting.task.job) running.attempt.kill();
  }
  for (Running& running : running_) {
    while (running.waiting.task.job) {
      try {
        if (running.attempt.poll()) running.waiting.task.job = nullptr;
      } catch (const Error&) {
        running.waiting.task.job =
            nullptr;  // its folder cannot be written; it is dead all the same
      }
      if (running.waiting.task.job) signals_.wait(std::chrono::milliseconds(20));
    }
  }
}

}  // namespace tarflow::schedule
