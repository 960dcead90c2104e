// A job that a task has begun: its attempts one after another, in one part of the allocation.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "framework/job/execute.h"

namespace tarflow::slurm {

class BegunJob {
 public:
  using Clock = std::chrono::steady_clock;

  // `part`: number of the part of the allocation that is the job's until its end.
  BegunJob(job::Job job, job::JobFolder folder, size_t part);
  BegunJob(const BegunJob&) = delete;  // an attempt refers to its job
  BegunJob& operator=(const BegunJob&) = delete;

  const job::Job& job() const { return job_; }
  const job::JobFolder& folder() const { return folder_; }
  size_t part() const { return part_; }
  int attempts() const { return attempts_; }  // that this start of the task made

  bool runs() const { return attempt_.has_value(); }
  // Where none runs: whether the next attempt is due.
  bool due() const { return Clock::now() >= next_; }
  void pause(double seconds);  // before the next attempt
  // Throws Error as job::Attempting does.
  void start(const job::Launch& launch);
  // How the attempt ended; nothing while it runs.
  std::optional<job::Outcome> poll();
  // See job::Attempting::stop; what was told to end is not told again.
  void stop(const std::string& why, bool failed, std::chrono::milliseconds grace);

  // Between these two looks the task was stopped, as by `scontrol suspend`, and its workers.
  void was_stopped(Clock::time_point from, Clock::time_point to);
  // Of the attempt, without such times.
  double seconds() const;
  // Ends an attempt that has taken longer; see time_over().
  void keep_to(double time_limit, std::chrono::milliseconds grace);
  bool time_over() const { return time_over_; }  // the attempt, or the last one, reached its limit

  bool clashed = false;  // it could not be started beside another start of the task; tried again

 private:
  job::Job job_;
  job::JobFolder folder_;
  size_t part_;
  int attempts_ = 0;
  std::optional<job::Attempting> attempt_;
  Clock::time_point next_ = Clock::now(), began_ = Clock::now();
  Clock::duration stopped_for_{};
  bool time_over_ = false;
};

}  // namespace tarflow::slurm
