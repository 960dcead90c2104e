// Where the time of the last steps of a training goes.
#pragma once

#include <c10/core/Device.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "experiments/worker/job_context.h"
#include "experiments/worker/profiler.h"

namespace tarflow::experiments {

// Watches the steps from `first` (counted from 0) to `end`, on the first rank. The last steps are
// taken, because a job that is stopped and goes on still has them before it.
class StepProfile {
 public:
  StepProfile(JobContext& context, const at::Device& device, int64_t first, int64_t end);

  void before(int64_t done);  // `done` steps so far
  void after(int64_t done);
  // As columns and arrays of the record (train_profile_columns, train_profile_arrays). Says why
  // where there is nothing.
  void report();

 private:
  JobContext& context_;
  const at::Device device_;
  const int64_t first_, end_;
  std::unique_ptr<Profiler> profiler_;
  std::chrono::steady_clock::time_point begun_{};
  std::optional<Profile> profile_;
  double seconds_ = 0;  // of the steps watched
};

std::vector<Column> train_profile_columns();
std::vector<ArrayInfo> train_profile_arrays();

}  // namespace tarflow::experiments
