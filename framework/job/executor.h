// Where jobs run. This machine (local) and Slurm (slurm) are executors; one loop above them
// (driver/loop.h) gives them jobs and acts on what becomes of these.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/job/job.h"
#include "framework/job/progress.h"

namespace tarflow::job {

// A job to run, and what the user reads about it.
struct Task {
  std::shared_ptr<const Job> job;
  std::string label;
  bool timed = false;
  double cost = 1;                      // expected, in the unit of all tasks
  std::optional<double> seconds = {};   // expected, where that is known
  size_t turn = 0;                      // tasks with lower ones begin first
  int64_t tries = 0;                    // how often in a row it was given and got no further
  double reached = 0;                   // 0..1: the part of it that was kept when it was given
  std::vector<std::string> after = {};  // hashes of jobs given before that it has to wait for
  bool awaited = false;                 // others wait for it
};

// What became of a job that an executor has.
struct Event {
  enum class What {
    kStarted,   // it runs; `text`: where, "" for here
    kProgress,  // of a running one
    kQueued,    // it ran, and waits to be started again
    kDone,      // its result is there; `text`: a remark, "" for none
    kFailed,    // `text` says why; `left`, `pause`: whether it deserves another try
    kStopped,   // it was told to end, and did before its end
    kReturned,  // it did not begin, for no fault of its own: to be given again
    kRemark,    // `text`, to be said; `hash` may be ""
  };
  What what;
  std::string hash;
  std::string text = {};
  WorkerProgress progress = {};
  double seconds = 0;       // kDone: that it took; 0: unknown
  int64_t left = 0;         // kFailed: how many more tries its settings grant
  bool headway = false;     // kFailed: it got further or had no turn: this try does not count
  double reached = 0;       // kFailed: as Task::reached, for the next try
  double pause = 0;         // kFailed: seconds before the first of them; doubled for each further
  std::string detail = {};  // kFailed: the end of its log, several lines
};

class Executor {
 public:
  Executor() = default;
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Takes these jobs; they run when there is room. Returns what is known of some at once. Throws
  // Error when it can take none.
  virtual std::vector<Event> submit(std::vector<Task> tasks) = 0;
  // What happened since the last call. To be called some times a second. Throws Error when nothing
  // can go on.
  virtual std::vector<Event> poll() = 0;
  // Ends these: kStopped follows for those that run, nothing for others.
  virtual void cancel(const std::set<std::string>& hashes, const std::string& why) = 0;
  // Ends at once what cancel() told to end.
  virtual void kill() {}
  // While `held`, no job begins here whose time counts.
  virtual void hold_timed(bool /*held*/) {}
  // What it was given goes on when this process ends, and it keeps Task::after itself.
  virtual bool outlives() const { return false; }
};

}  // namespace tarflow::job
