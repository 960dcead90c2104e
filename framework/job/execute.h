// One attempt of one job: a worker process in the job's folder.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/job/attempts.h"
#include "framework/job/job.h"
#include "framework/job/job_folder.h"
#include "framework/job/progress.h"
#include "framework/job/store.h"
#include "framework/process/process.h"

namespace tarflow::job {

// Of a worker that this machine cannot run, as of a shell that cannot run its program; also where
// the machine has another model of device than the job states.
inline constexpr int kUnableExit = 126;
inline constexpr int kStoppedExit = 75;  // EX_TEMPFAIL: a worker that ended because it was asked to

struct Outcome {
  enum class Kind { kDone, kFailed, kStopped };
  Kind kind = Kind::kFailed;
  std::string reason;  // why it is not done
  process::Exit exit;  // of the worker
  double seconds = 0;
  std::filesystem::path log;
  std::vector<std::string> log_end;  // the last lines the worker printed in this attempt
  bool other_device = false;         // it was done, on another model of device than it states
  bool taken_over = false;           // somebody else has claimed the folder; nothing was written
};

// How a worker is started for a job.
struct Launch {
  std::filesystem::path worker;
  std::vector<std::string> arguments;            // after the folder
  std::map<std::string, std::string> variables;  // of its environment
  // Words before the worker's: a program (a path) that starts its processes, and options of that.
  std::vector<std::string> before = {};
  std::string place = {};     // for attempts.jsonl: see Attempt
  int stop_signal = SIGTERM;  // that asks it to end
  // What else is known of why it failed; "" for nothing.
  std::function<std::string(const process::Exit&)> explain = [](const process::Exit&) {
    return std::string();
  };
};

class Attempting {
 public:
  // Starts `worker FOLDER arguments...`. The folder gets job.json, log.txt (appended) and a line
  // more in attempts.jsonl; what is there is treated as by prepare_folder. Throws Error when that
  // does or the worker cannot be started.
  Attempting(const Job& job, JobFolder folder, const Launch& launch);

  // Nothing while it runs. A worker whose folder another has claimed is killed. One that fails, or
  // whose result is not whole, is an Outcome and not an error.
  std::optional<Outcome> poll();
  // Asks the worker to end; it is killed when it has not done so within `grace`. `why` becomes the
  // reason, with `failed` for a time limit rather than a wish of the user's.
  void stop(const std::string& why, bool failed, std::chrono::milliseconds grace);
  void kill();

  bool stopping() const { return !stop_reason_.empty(); }
  double seconds() const;  // since the start
  WorkerProgress progress() const;

 private:
  Outcome finish(const process::Exit& exit);
  bool was_taken_over();

  const Job* job_;
  JobFolder folder_;
  Attempt attempt_;
  uintmax_t log_begin_ = 0;
  pid_t pid_ = 0;
  std::chrono::steady_clock::time_point start_, kill_at_{};
  std::string stop_reason_, claim_, claimant_;
  std::chrono::steady_clock::time_point looked_;  // at the claim
  bool stop_is_failure_ = false;
  int stop_signal_ = SIGTERM;
  std::function<std::string(const process::Exit&)> explain_;
};

// Waits until the attempt has ended; `meanwhile` is called between two looks. What that throws is
// thrown on when the worker has ended: it is told to, and killed when `grace` is over.
Outcome wait_for_end(Attempting& attempting, std::chrono::milliseconds grace,
                     const std::function<void()>& meanwhile);

// The last `count` lines of a text file from byte `offset` on.
std::vector<std::string> last_lines(const std::filesystem::path& file, uintmax_t offset,
                                    size_t count);

}  // namespace tarflow::job
