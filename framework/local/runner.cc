#include "framework/local/runner.h"

#include <fmt/format.h>

#include <utility>

#include "framework/core/error.h"
#include "framework/job/worker_variables.h"

namespace tarflow::local {
namespace {

using job::Event;

// So many jobs in a row that could not be started end the sweep.
constexpr int kRefusedStarts = 3;

std::string log_text(const job::Outcome& outcome) {
  std::string text = fmt::format("  its log, {}, ends with", outcome.log.string());
  for (const std::string& line : outcome.log_end) text += "\n    | " + line;
  if (outcome.log_end.empty()) text += "\n    | (it printed nothing)";
  return text;
}

Event failure_of(const job::Task& task, const job::Outcome& outcome) {
  Event event{Event::What::kFailed, task.job->hash, outcome.reason};
  // This machine would compute it on the same device again.
  event.left = outcome.taken_over || outcome.other_device ? 0 : task.job->run->retries - task.tries;
  event.pause = task.job->run->backoff;
  event.detail = log_text(outcome);
  return event;
}

Event event_of(const job::Task& task, const job::Outcome& outcome) {
  if (outcome.kind == job::Outcome::Kind::kFailed) return failure_of(task, outcome);
  const bool done = outcome.kind == job::Outcome::Kind::kDone;
  Event event{done ? Event::What::kDone : Event::What::kStopped, task.job->hash, outcome.reason};
  event.seconds = outcome.seconds;
  return event;
}

}  // namespace

Runner::Runner(RunnerOptions options, Pool pool)
    : options_(std::move(options)), pool_(std::move(pool)) {}

std::vector<Event> Runner::submit(std::vector<job::Task> tasks) {
  for (job::Task& task : tasks) waiting_.emplace(task.turn, std::move(task));
  return {};
}

std::vector<Event> Runner::poll() {
  if (broken_) std::rethrow_exception(std::exchange(broken_, nullptr));
  std::vector<Event> events;
  start_what_fits(events);
  for (auto running = running_.begin(); running != running_.end();) {
    events.push_back({Event::What::kProgress, running->task.job->hash});
    events.back().progress = running->attempt.progress();
    if (std::optional<Event> ended = look_after(*running)) {
      events.push_back(std::move(*ended));
      pool_.give_back(running->allocation);
      running = running_.erase(running);
    } else {
      ++running;
    }
  }
  return events;
}

// In their order: a job that needs a whole device is not overtaken for ever by small ones. Those
// that need another device do not wait for it.
void Runner::start_what_fits(std::vector<Event>& events) {
  std::set<bool> full;  // for jobs on GPUs, on the CPU
  for (auto next = waiting_.begin(); next != waiting_.end() && full.size() < 2 && !broken_;) {
    const job::Task& task = next->second;
    const bool on_gpu = pool_.on_gpu(*task.job->run);
    const std::optional<Allocation> allocation =
        full.contains(on_gpu) || (task.timed && timed_held_)
            ? std::nullopt
            : pool_.take(*task.job->run, task.timed);
    if (!allocation) {
      full.insert(on_gpu);
      ++next;
      continue;
    }
    const job::Task started = task;
    next = waiting_.erase(next);
    events.push_back(start(started, *allocation));
    if (events.back().what != Event::What::kStarted) pool_.give_back(*allocation);
  }
}

Event Runner::start(const job::Task& task, const Allocation& allocation) {
  const job::Job& job = *task.job;
  const job::JobFolder folder{options_.jobs_folder / job.hash};
  job::Outcome outcome;
  outcome.log = folder.log();
  const job::Result found = job::find_result(folder, job);
  if (found.done()) return {Event::What::kDone, job.hash};  // it could not be read before, say
  outcome.reason = found.problem.str();
  try {
    if (!found.kept()) {
      running_.push_back(
          {task, allocation, job::Attempting(job, folder, launch_for(task, allocation))});
      refused_starts_ = 0;
      return {Event::What::kStarted, job.hash};
    }
  } catch (const Error& failure) {
    // One folder may be bad. When several in a row are, it is the disk: the sweep ends.
    if (++refused_starts_ >= kRefusedStarts) broken_ = std::current_exception();
    outcome.reason = failure.what();
  }
  return failure_of(task, outcome);
}

job::Launch Runner::launch_for(const job::Task& task, const Allocation& allocation) const {
  job::Launch launch{options_.worker, {}, {}};
  if (task.timed && allocation.exclusive) launch.arguments.push_back("--exclusive");
  // Said even of one: a worker that looked at its surroundings might take itself for a rank of the
  // job that run_sweep itself is. The ranks divide the threads.
  launch.arguments.insert(launch.arguments.end(),
                          {"--ranks", fmt::format("{}", allocation.ranks), "--threads",
                           fmt::format("{}", allocation.ranks * allocation.threads)});
  launch.variables["OMP_NUM_THREADS"] = fmt::format("{}", allocation.threads);
  job::wait_briefly(launch.variables);
  if (const auto devices = pool_.visible_devices(allocation)) {
    job::show_gpus(*devices, pool_.machine().numbered, launch.variables);
  }
  return launch;
}

std::optional<Event> Runner::look_after(Running& running) {
  try {
    if (const std::optional<job::Outcome> outcome = running.attempt.poll()) {
      return event_of(running.task, *outcome);
    }
  } catch (const Error& failure) {  // there is no such process
    return Event{Event::What::kFailed, running.task.job->hash, failure.what()};
  }
  const double limit = running.task.job->run->time_limit;
  if (limit > 0 && running.attempt.seconds() > limit) {
    running.attempt.stop(fmt::format("it reached its time limit of {}", job::duration(limit)),
                         /*failed=*/true, options_.grace);
  }
  return std::nullopt;
}

void Runner::cancel(const std::set<std::string>& hashes, const std::string& why) {
  std::erase_if(waiting_,
                [&](const auto& entry) { return hashes.contains(entry.second.job->hash); });
  for (Running& running : running_) {
    if (hashes.contains(running.task.job->hash)) {
      running.attempt.stop(why, /*failed=*/false, options_.grace);
    }
  }
}

void Runner::kill() {
  for (Running& running : running_) running.attempt.kill();
}

}  // namespace tarflow::local
