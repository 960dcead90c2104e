// The one loop over an executor: who depends on whom, what is tried again, when all stops.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "framework/job/executor.h"
#include "framework/job/progress.h"
#include "framework/process/cancel_request.h"

namespace tarflow::driver {

struct LoopOptions {
  using Clock = std::chrono::steady_clock;
  // A signal that asks to end, or nothing within the time.
  std::function<std::optional<int>(std::chrono::milliseconds)> wait;
  std::function<Clock::time_point()> now = Clock::now;
  std::function<void()> check = [] {};  // called some times a second; throws to end the loop
  // What was asked from outside, and where the answer to a request for some points goes.
  std::function<std::optional<process::CancelRequest>()> cancelled = [] { return std::nullopt; };
  std::function<void(const process::CancelAnswer&)> answer = [](const process::CancelAnswer&) {};
  std::function<void(const job::Job&, double seconds)> done = [](const job::Job&, double) {};
  // Called some times a second; `quiet`: no job runs here whose time counts. While it returns true
  // none begins.
  std::function<bool(bool quiet)> page = [](bool) { return false; };
};

struct Ran {
  size_t failed = 0;
  size_t cancelled = 0;      // jobs that were taken back alone
  bool interrupted = false;  // by a signal or from outside
  bool aborted = false;      // two signals: nothing more is to be done
  bool failed_fast = false;
};

class Loop {
 public:
  Loop(LoopOptions options, job::Executor& executor, job::Progress& progress);

  // `given`: the executor has it already.
  void add(job::Task task, bool given = false);
  // Gives the executor what it can take now: jobs that read what others make wait for these, unless
  // it keeps their order itself. Throws Error.
  void submit();
  // Returns when all tasks are done, have failed for good, or the user stops the sweep; an executor
  // that outlives this process keeps what it has then. When it throws (a lost lease, no folder can
  // be written), no worker is left behind: each was told to end and had its grace.
  Ran run();
  const Ran& ran() const { return ran_; }

 private:
  using Clock = LoopOptions::Clock;
  enum class State { kWaiting, kGiven, kDone, kFailed, kCancelled };
  struct Entry {
    job::Task task;
    State state = State::kWaiting;
    bool running = false;
    Clock::time_point due = {};  // not before
    Clock::time_point begin = {};
    job::WorkerProgress progress = {};
    bool ended() const { return state != State::kWaiting && state != State::kGiven; }
  };

  bool goes_on() const;
  bool quiet() const;
  void step();
  std::vector<const Entry*> makers(const Entry& entry) const;
  bool may_give(const Entry& entry) const;
  job::Task task_of(const Entry& entry) const;
  // Whether one of them ended a job.
  bool take(const std::vector<job::Event>& events);
  void take(const job::Event& event, Entry& entry);
  void show(Entry& entry, const std::string& where);
  void end(Entry& entry, State state, const char* outcome);
  void done(Entry& entry, const job::Event& event);
  void fail(Entry& entry, const job::Event& event);
  void stopped(Entry& entry);
  // Those that read what jobs were to make that failed or were cancelled are not run.
  void drop_dependents();
  void cancel(const process::CancelRequest& request);
  void answer_when_stopped();
  void react(int signal);
  void stop_all(const std::string& why);
  void abandon(const std::string& why);

  LoopOptions options_;
  job::Executor& executor_;
  job::Progress& progress_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> by_hash_, by_point_;  // indices in entries_
  size_t running_ = 0, open_ = 0;  // entries that run, that have not ended
  size_t last_turn_ = 0;
  bool stopping_ = false, left_ = false, dropping_ = false;
  Clock::time_point first_signal_ = {};
  std::optional<process::CancelAnswer> answer_;  // owed for a request
  std::set<std::string> taken_back_;             // hashes of the running jobs that it stops
  Ran ran_;
};

}  // namespace tarflow::driver
