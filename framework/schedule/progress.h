// What the user sees while jobs run: one line that is kept up to date on a terminal, plain lines
// elsewhere.
#pragma once

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "framework/core/json.h"

namespace tarflow::schedule {

// What a worker writes to progress.json: {"done", "total", "phase", "images_per_second"}, all
// optional.
struct WorkerProgress {
  double done = 0;
  double total = 0;  // 0: unknown
  std::string phase;
  double images_per_second = 0;  // 0: unknown

  double fraction() const;  // of the job, 0..1
};

WorkerProgress worker_progress_from_json(
    const Json& json);  // what is absent or of a wrong type stays unknown

// "0.4 s", "1:05", "2:03:04".
std::string duration(double seconds);

// "sampling 128/256, 35.2 images/s"; "" when nothing is known.
std::string describe(const WorkerProgress& progress);

// Expected seconds until the end when `fraction` of all took `elapsed` seconds; nothing before the
// first bit is done.
std::optional<double> remaining_seconds(double elapsed, double fraction);

class Progress {
 public:
  Progress(std::FILE* out, bool terminal, size_t jobs);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void start_job(const std::string& label);
  void update(const WorkerProgress& progress);
  void end_job(const std::string& outcome);  // "done", "failed: ..."

 private:
  using Clock = std::chrono::steady_clock;

  std::string heading() const;  // "[3/12] label"
  void show(const std::string& line);
  void clear();

  std::FILE* out_;
  bool terminal_;
  size_t jobs_;
  size_t started_ = 0;
  std::string label_;
  WorkerProgress last_;
  bool shown_ = false;  // an unfinished line stands on the terminal
  Clock::time_point begin_ = Clock::now();
  Clock::time_point job_begin_ = begin_;
  Clock::time_point line_time_ = begin_;  // of the last plain line
};

}  // namespace tarflow::schedule
