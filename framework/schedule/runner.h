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

#include "framework/schedule/execute.h"
#include "framework/schedule/job.h"
#include "framework/schedule/pool.h"
#include "framework/schedule/progress.h"

namespace tarflow::schedule {

// A job to run, and what the user reads about it.
struct Task {
  const Job* job = nullptr;
  std::string label;
  bool timed = false;
  double cost = 1;  // expected, in the unit of all tasks
};

struct RunnerOptions {
  std::filesystem::path jobs_folder, worker;
  std::chrono::milliseconds grace = std::chrono::seconds(60);  // between asking and killing
  std::function<void()> beat = [] {};                          // called some times a second
  std::function<bool()> cancelled = [] { return false; };      // asked from outside to stop
  std::function<void(const Job&, double seconds)> done = [](const Job&, double) {};
};

struct Ran {
  size_t failed = 0;
  bool interrupted = false;  // by a signal or from outside
  bool aborted = false;      // two signals: nothing more is to be done
  bool failed_fast = false;
};

class Runner {
 public:
  Runner(RunnerOptions options, Pool pool, const HeldSignals& signals, Progress& progress);

  // Returns when all tasks are done, have failed for good, or the user stops the sweep. When it
  // throws (a lost lease, a folder that cannot be written), no worker is left behind.
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
    Attempting attempt;
  };

  void start_what_fits();
  // Whether what the job reads is to be made by another that has not ended.
  bool waits_for_another(const Job& job) const;
  // Those that read what the job was to make fail with it.
  void fail_dependents(const Job& maker);
  Launch launch_for(const Task& task, const Allocation& allocation) const;
  void look_after(Running& running);
  void end(Running& running, const Outcome& outcome);
  void report_failure(const Running& running, const Outcome& outcome, const std::string& next);
  void react(int signal);
  void stop_all(const std::string& why);
  void kill_all();

  RunnerOptions options_;
  Pool pool_;
  const HeldSignals& signals_;
  Progress& progress_;
  std::deque<Waiting> waiting_;
  std::set<std::string> open_points_;  // keys, of jobs that have not ended
  std::vector<Running> running_;
  bool stopping_ = false;
  Clock::time_point first_signal_ = {};
  Ran ran_;
};

}  // namespace tarflow::schedule
