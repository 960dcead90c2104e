#include "framework/slurm/task.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <list>
#include <optional>
#include <set>
#include <utility>

#include "framework/core/error.h"
#include "framework/job/execute.h"
#include "framework/process/host.h"
#include "framework/slurm/allocation.h"
#include "framework/slurm/begun_job.h"
#include "framework/slurm/by_command.h"
#include "framework/slurm/events.h"
#include "framework/slurm/headway.h"
#include "framework/slurm/script.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{200};
constexpr std::chrono::seconds kLook{5};  // at the shared folder
// Slurm sends TERM when it is about to kill (KillWait, 30 s by default).
constexpr std::chrono::seconds kAfterTerm{25};
constexpr double kAfterClash = 1;  // seconds
// A longer time between two looks passed while this program was stopped, with its workers.
constexpr std::chrono::seconds kStopped{3};
// The same place reached in so many allocations in a row: there is no getting on from here.
constexpr int kNoHeadway = 3;

void say(const std::string& text) {
  // A full disk below Slurm's output must not end the task: nothing is thrown here.
  std::fputs(fmt::format("{} {}\n", process::utc_now(), text).c_str(), stdout);
  std::fflush(stdout);
}

const char* name_of_signal(int signal) {
  return signal == SIGUSR2 ? "USR2" : signal == SIGTERM ? "TERM" : ::sigabbrev_np(signal);
}

class ClusterTask {
 public:
  ClusterTask(SubmissionFolder folder, Submission submission, Allocated place,
              const process::HeldSignals& signals)
      : folder_(std::move(folder)),
        submission_(std::move(submission)),
        place_(std::move(place)),
        signals_(signals),
        run_(std::make_shared<const sweep::RunSettings>(submission_.run)),
        waiting_(submission_.tasks.at(place_.task).begin(),
                 submission_.tasks.at(place_.task).end()),
        before_(read_events(folder_, place_.task)) {}

  // What fails after the "start" is noted fails on this node alone: another may run the jobs.
  int run() {
    note(event("start"));
    parts_ = parts_of(submission_, notes_);
    for (size_t part = 0; part < parts_.size(); ++part) free_.insert(part);
    say(fmt::format("task {} of {}, start {}, on {}{}", place_.task, submission_.job_name,
                    place_.restart + 1, place_.node,
                    parts_.size() > 1 ? fmt::format(", {} jobs at once", parts_.size()) : ""));
    for (const std::string& text : notes_) say(text);
    try {
      work();
    } catch (const std::exception& failure) {
      end_workers(failure.what());
      throw;
    }
    for (const std::string& hash : waiting_) {
      if (!failed_before(hash)) left_.push_back(hash);
    }
    // Put back into the queue, the task might well come to this node again.
    if (!left_.empty() && !superseded_ && (stopping() || !elsewhere_)) make_room();
    TaskEvent end = event("end");
    end.left = left_.size();
    end.failed = failed_;
    note(end);
    if (!left_.empty()) return job::kStoppedExit;
    return failed_ > 0 ? 1 : 0;
  }

 private:
  enum class Result { kOver, kLeft, kElsewhere };

  TaskEvent event(const std::string& what, const std::string& text = "") const {
    TaskEvent event;
    event.what = what;
    event.time = process::utc_now();
    event.host = place_.node;
    event.task = place_.task;
    event.restart = place_.restart;
    event.text = text;
    return event;
  }
  // An event that cannot be written must not end the task, and the workers with it.
  void note(const TaskEvent& event) {
    try {
      append_event(folder_, event);
    } catch (const std::exception& failure) {
      say(failure.what());
    }
  }

  bool stopping() const { return told_ != 0 || superseded_ || worker_told_; }

  // In an earlier start of this task; other starts of the same submission try nothing again.
  bool failed_before(const std::string& hash) {
    const bool failed = std::any_of(before_.begin(), before_.end(), [&](const TaskEvent& event) {
      return event.what == "job" && event.job == hash && event.outcome == "failed";
    });
    failed_ += failed;
    return failed;
  }

  // Until all jobs are over, or the task is told to end and its workers have.
  void work() {
    for (;;) {
      begin_what_fits();
      if (begun_.empty()) return;
      bool ended = false;
      for (auto job = begun_.begin(); job != begun_.end();) {
        const std::optional<Result> result = look_after(*job);
        if (!result) {
          ++job;
          continue;
        }
        if (*result != Result::kOver) left_.push_back(job->job().hash);
        elsewhere_ = elsewhere_ || *result == Result::kElsewhere;
        free_.insert(job->part());
        job = begun_.erase(job);
        ended = true;
      }
      if (!ended) listen(kPoll);
    }
  }

  // In their order: the next one begins as soon as a part of the allocation is free.
  void begin_what_fits() {
    while (!free_.empty() && !waiting_.empty() && !stopping()) {
      const std::string hash = waiting_.front();
      waiting_.pop_front();
      if (!failed_before(hash)) begin(hash);
    }
  }

  void begin(const std::string& hash) {
    const job::JobFolder folder{folder_.jobs() / hash};
    try {
      job::Job job = job::read_job_to_run(folder.job());
      job.run = run_;
      const job::Result found = job::find_result(folder, job);
      if (found.kept()) throw Error(found.problem);
      if (found.done()) return;
      begun_.emplace_back(std::move(job), folder, *free_.begin());
      free_.erase(free_.begin());
    } catch (const Error& failure) {
      fail(hash, fmt::format("its folder cannot be used: {}", failure.what()));
    }
  }

  // What became of the job; nothing while it is tried.
  std::optional<Result> look_after(BegunJob& job) {
    const bool ran = job.runs();
    try {
      return ran ? look_at_attempt(job) : try_again(job);
    } catch (const std::exception& failure) {  // its worker does not run; there are other jobs
      if (!ran && job.attempts() == 1 && is_doubled()) {
        job.clashed = true;
        job.pause(kAfterClash);
        return std::nullopt;
      }
      fail(job.job().hash, failure.what());
      return Result::kOver;
    }
  }

  std::optional<Result> try_again(BegunJob& job) {
    if (stopping()) return Result::kLeft;
    if (!job.due()) return std::nullopt;
    if (std::exchange(job.clashed, false) && job::find_result(job.folder(), job.job()).done()) {
      return Result::kOver;
    }
    const Part& part = parts_.at(job.part());
    job.start(launch_of(submission_, place_, part, submission_.timed.contains(job.job().hash)));
    say(fmt::format("job {} of {} runs{}, log: {}", job.job().hash, job.job().experiment,
                    part.gpus ? " on GPU " + *part.gpus : "", job.folder().log().string()));
    return std::nullopt;
  }

  // Two starts of this task may be at work, which make the same folder ready at the same moment.
  bool is_doubled() const {
    if (!submission_.profile.by_command()) return false;
    int open = 0;
    for (const TaskEvent& event : read_events(folder_, place_.task)) {
      open += event.what == "start" ? 1 : event.what == "end" ? -1 : 0;
    }
    return open > 1;
  }

  void fail(const std::string& hash, const std::string& reason) {
    TaskEvent failure = event("job", reason);
    failure.job = hash;
    failure.outcome = "failed";
    note(failure);
    ++failed_;
    say(fmt::format("job {} failed: {}", hash, reason));
  }

  // The worker or a library of it is not there, or is none for this processor or device.
  static bool cannot_run(const process::Exit& exit) {
    constexpr int kNotFound = 127;  // of shells and srun
    return process::ended_by(exit, SIGILL) || exit.code == job::kUnableExit ||
           exit.code == kNotFound;
  }

  // By whatever signal, also of a shell or srun.
  static bool was_ended(const process::Exit& exit) { return exit.signal != 0 || exit.code > 128; }

  std::optional<Result> look_at_attempt(BegunJob& job) {
    if (const std::optional<job::Outcome> outcome = job.poll()) {
      const Result result = judge(job, *outcome);
      if (result != Result::kLeft || stopping()) return result;
      job.pause(job::pause_before_retry(run_->backoff, job.attempts() - 1));
      return std::nullopt;
    }
    if (stopping()) job.stop(why_it_stops(), /*failed=*/false, grace());
    job.keep_to(run_->time_limit, grace());
    return std::nullopt;
  }

  std::string why_it_stops() const {
    if (superseded_) return "the task was restarted elsewhere";
    if (told_ == 0) return "another worker of the task was told to end";
    return fmt::format("the task was told to end ({})", name_of_signal(told_));
  }

  // kLeft: it stopped, or is to be tried again. kElsewhere: again, but not on this node, or with
  // more memory.
  Result judge(const BegunJob& job, const job::Outcome& outcome) {
    const std::string& hash = job.job().hash;
    if (outcome.taken_over) {
      superseded_ = true;
      say(fmt::format("job {}: {}; this task ends", hash, outcome.reason));
      return Result::kLeft;
    }
    // Not by this program, as at the job's own time limit.
    worker_told_ =
        worker_told_ || (!stopping() && !job.time_over() && outcome.exit.code == job::kStoppedExit);
    Result result = Result::kLeft;
    TaskEvent ended = event("job", outcome.reason);
    ended.job = hash;
    ended.seconds = outcome.seconds;
    if (outcome.kind == job::Outcome::Kind::kDone) {
      ended.outcome = "done";
    } else if (outcome.kind == job::Outcome::Kind::kStopped || stopping()) {
      ended.outcome = "stopped";
      const job::WorkerProgress progress = job::read_progress(job.folder().progress());
      ended.killed = was_ended(outcome.exit);
      ended.reached = ended.killed ? progress.done_before : progress.fraction();
      stopped_.push_back(ended);
    } else {
      result = judge_failure(job, outcome, ended);
    }
    note(ended);
    say(fmt::format("job {} {} after {}{}", hash,
                    ended.outcome == "again" ? "failed, it is tried again," : ended.outcome,
                    job::duration(outcome.seconds), ended.text.empty() ? "" : ": " + ended.text));
    return ended.outcome == "done" || ended.outcome == "failed" ? Result::kOver : result;
  }

  Result judge_failure(const BegunJob& job, const job::Outcome& outcome, TaskEvent& ended) {
    // As the kernel ends a worker, or a rank of srun's, when memory runs out.
    const bool killed = process::ended_by(outcome.exit, SIGKILL);
    ended.starved = submission_.profile.mem_grows && !job.time_over() && killed;
    const bool again = job.attempts() <= run_->retries && !outcome.other_device && !ended.starved;
    ended.unable = cannot_run(outcome.exit) || outcome.other_device;
    ended.outcome = again || ended.unable || ended.starved ? "again" : "failed";
    ended.silent = outcome.log_end.empty();
    if (ended.silent) {
      ended.text +=
          fmt::format("; it printed nothing, see {}", folder_.output(place_.task).string());
    }
    failed_ += ended.outcome == "failed";
    return !again && (ended.unable || ended.starved) ? Result::kElsewhere : Result::kLeft;
  }

  // What may pass between asking a worker to end and killing it, so that the task can put itself
  // back while it has its allocation.
  std::chrono::milliseconds grace() const {
    const double lead = submission_.profile.signal_lead;
    if (told_ != SIGUSR2 || lead <= 0) return kAfterTerm;
    return std::chrono::milliseconds(static_cast<int64_t>(800 * lead));
  }

  // This program cannot go on.
  void end_workers(const std::string& why) {
    for (BegunJob& job : begun_) {
      if (!job.runs()) continue;
      job.stop("whoever started it cannot go on: " + why, /*failed=*/false, kAfterTerm);
    }
    for (BegunJob& job : begun_) {
      while (job.runs() && !job.poll()) signals_.wait(kPoll);
    }
  }

  // Signals, and whether another start of this task has taken over: a node that was given up may
  // live on.
  void listen(std::chrono::milliseconds time) {
    std::optional<int> signal = signals_.wait(time);
    const Clock::time_point now = Clock::now();
    if (now - heard_ > kStopped) {
      for (BegunJob& job : begun_) job.was_stopped(heard_, now);
    }
    heard_ = now;
    // Only Slurm sends a signal ahead of the time limit. With other queues it is the clock.
    const bool own = submission_.profile.by_command() && told_ == 0;
    if (!signal && own && near_the_end(1)) signal = SIGUSR2;
    if (signal) {
      note(event("told", name_of_signal(*signal)));
      say(fmt::format("told to end (signal {})", name_of_signal(*signal)));
      if (told_ == 0) told_ = *signal;
    }
    if (Clock::now() - looked_ < kLook) return;
    looked_ = Clock::now();
    for (const TaskEvent& other : read_events(folder_, place_.task)) {
      if (superseded_ || other.what != "start" || other.restart <= place_.restart) continue;
      superseded_ = true;
      say(fmt::format("this task was started again on {}; this start of it ends", other.host));
    }
  }

  // Within `leads` of the profile's signal_lead before the time limit.
  bool near_the_end(double leads) const {
    const double time = allocation_seconds(submission_), lead = submission_.profile.signal_lead;
    if (time <= 0 || lead <= 0) return false;
    const std::chrono::duration<double> passed = Clock::now() - begin_;
    return passed.count() >= time - leads * std::min(lead, time / 4);
  }

  // Jobs that had most of an allocation to themselves again and again, and came no further.
  void fail_without_headway() {
    if (told_ != SIGUSR2) return;
    const double enough = allocation_seconds(submission_) / 2;
    for (const TaskEvent& stopped : stopped_) {
      if (starts_without_headway(before_, stopped, enough) < kNoHeadway) continue;
      fail(stopped.job,
           fmt::format("in {} allocations it came no further; it needs a longer one (time in the "
                       "cluster profile, or run: time_limit)",
                       kNoHeadway));
      std::erase(left_, stopped.job);
    }
  }

  // Leaves the allocation and queues again for what is left.
  void make_room() {
    fail_without_headway();
    if (left_.empty()) return;
    if (!read_submission(folder_).wanted(place_.task)) return;  // taken back by run_sweep cancel
    // Slurm would start it again with the same time limit.
    const bool longer = submission_.profile.time_grows && near_the_end(2) &&
                        submission_.attempt <= submission_.profile.max_resubmissions;
    if (submission_.profile.by_command() || longer) {
      say(fmt::format("{} left; run_sweep submits them again", left_.size()));
      return;
    }
    const std::string complaint = requeue(place_);
    note(event(complaint.empty() ? "requeue" : "refused", complaint));
    say(complaint.empty() ? fmt::format("put back into the queue, {} left", left_.size())
                          : fmt::format("not put back into the queue: {}", complaint));
  }

  SubmissionFolder folder_;
  Submission submission_;
  Allocated place_;
  const process::HeldSignals& signals_;
  sweep::RunSettingsPtr run_;
  std::vector<std::string> notes_;   // on the GPUs of the node
  std::vector<Part> parts_;          // of the allocation, one for each job that runs at once
  std::set<size_t> free_;            // of these
  std::deque<std::string> waiting_;  // jobs that were not begun
  std::list<BegunJob> begun_;        // each in a part of its own
  std::vector<TaskEvent> before_;    // of earlier starts
  std::vector<std::string> left_;
  std::vector<TaskEvent> stopped_;  // of jobs that were at work when the task was told to end
  size_t failed_ = 0;
  int told_ = 0;              // the first signal
  bool worker_told_ = false;  // Slurm told a worker itself to end
  bool superseded_ = false;
  bool elsewhere_ = false;  // a job is left for another node, or for more memory
  Clock::time_point begin_ = Clock::now();
  Clock::time_point looked_ = Clock::now();
  Clock::time_point heard_ = Clock::now();  // the last look at signals
};

}  // namespace

int run_cluster_task(const fs::path& path) {
  forget_steering_variables();
  const process::HeldSignals signals({SIGUSR2});
  const SubmissionFolder folder{fs::absolute(path)};
  const Submission submission = read_submission(folder);
  const bool by_command = submission.profile.by_command();
  const Allocated place = by_command ? place_by_command(folder, submission) : this_allocation();
  if (place.task >= submission.tasks.size()) {
    throw Error(fmt::format("{} has {} tasks, not one of number {}", folder.path.string(),
                            submission.tasks.size(), place.task),
                "start it with the sbatch file beside it");
  }
  if (!submission.wanted(place.task)) {
    say("this task was taken back; nothing is run");
    return 0;
  }
  if (!by_command && !submission.job_id.empty() && submission.job_id != place.array) {
    say(fmt::format("this submission is array {}; array {}, which was given as well, runs nothing",
                    submission.job_id, place.array));
    return 0;
  }
  return ClusterTask(folder, submission, place, signals).run();
}

}  // namespace tarflow::slurm
