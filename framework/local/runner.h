// Runs the jobs of a plan on this machine: as many at once as its devices take, again when they
// fail and that is wished, and no longer than they may.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "framework/job/execute.h"
#include "framework/job/job.h"
#include "framework/job/progress.h"
#include "framework/local/pool.h"
#include "framework/process/cancel.h"

namespace tarflow::local {

// A job to run, and what the user reads about it.
struct Task {
  const job::Job* job = nullptr;
  std::string label;
  bool timed = false;
  double cost = 1;  // expected, in the unit of all tasks
};

struct RunnerOptions {
  std::filesystem::path jobs_folder, worker;
  std::chrono::milliseconds grace = std::chrono::seconds(60);  // between asking and killing
  std::function<void()> beat = [] {};                          // called some times a second
  // What was asked from outside, and where the answer to a request for some points goes.
  std::function<std::optional<process::CancelRequest>()> cancelled = [] { return std::nullopt; };
  std::function<void(const process::CancelAnswer&)> answer = [](const process::CancelAnswer&) {};
  std::function<void(const job::Job&, double seconds)> done = [](const job::Job&, double) {};
};

struct Ran {
  size_t failed = 0;
  size_t cancelled = 0;      // jobs that were taken back alone
  bool interrupted = false;  // by a signal or from outside
  bool aborted = false;      // two signals: nothing more is to be done
  bool failed_fast = false;
};

class Runner {
 public:
  Runner(RunnerOptions options, Pool pool, const process::HeldSignals& signals,
         job::Progress& progress);

  // Returns when all tasks are done, have failed for good, or the user stops the sweep. A job whose
  // folder cannot be used fails alone. When it throws (a lost lease, no folder can be written), no
  // worker is left behind: each was asked to stop and had `grace` to keep what it had reached.
  Ran run(const std::vector<Task>& tasks);

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    Task task;
    int attempts = 0;            // so far
    Clock::time_point due = {};  // not before
  };
  struct Running {
    Waiting waiting;
    Allocation allocation;
    job::Attempting attempt;
  };

  void step();
  void start_what_fits();
  void start(const Waiting& waiting, const Allocation& allocation);
  void cannot_start(const Waiting& waiting, const Allocation& allocation,
                    const std::string& reason);
  // Whether what the job reads is to be made by another that has not ended.
  bool waits_for_another(const job::Job& job) const;
  // Those that read what the job was to make are not run: `why` says what became of it.
  void drop_dependents(const job::Job& maker, const std::string& why, size_t& count);
  void cancel(const process::CancelRequest& request);
  void answer_when_stopped();
  job::Launch launch_for(const Task& task, const Allocation& allocation) const;
  void look_after(Running& running);
  void end(Running& running, const job::Outcome& outcome);
  void fail(const Waiting& waiting, const job::Outcome& outcome);
  void report_failure(const Task& task, const job::Outcome& outcome, const std::string& next);
  void react(int signal);
  void stop_all(const std::string& why);
  void wait_for_stopped();
  void kill_all();

  RunnerOptions options_;
  Pool pool_;
  const process::HeldSignals& signals_;
  job::Progress& progress_;
  std::deque<Waiting> waiting_;
  std::set<std::string> open_points_;  // keys, of jobs that have not ended
  std::vector<Running> running_;
  bool stopping_ = false;
  Clock::time_point first_signal_ = {};
  int refused_starts_ = 0;                       // in a row
  std::optional<process::CancelAnswer> answer_;  // owed for a request
  std::set<std::string> taken_back_;             // hashes of the running jobs that it stops
  Ran ran_;
};

}  // namespace tarflow::local
