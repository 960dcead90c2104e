// partial.h5 in a job's folder: how far an experiment was, so that a job that was stopped or killed
// goes on from there with the same numbers bit for bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/worker/arrays.h"
#include "experiments/worker/job_context.h"

namespace tarflow::experiments {

// Everything besides the settings that may change a bit of a result: the job and its points, the
// experiment's revision, the program's build, device, compute type, threads, libraries.
Json partial_identity(const JobContext& context, const at::Device& device, ComputeType compute);

std::filesystem::path partial_path(const std::filesystem::path& job_folder);

class PartialFile {
 public:
  // Keeps a reference to the context.
  PartialFile(JobContext& context, Json identity);

  // What a file of this identity holds. One of another identity is left out of account, a damaged
  // one is set aside; the log says so. Throws Error for one that cannot be read now or is of a
  // newer version: it must not be written over.
  std::optional<ArrayMap> read() const;

  // Whether so much time has passed that writing `bytes` costs less than kWriteShare of it.
  bool due(size_t bytes) const;
  // Written aside, synced and renamed. A file that cannot be written costs a line in the log, no
  // more; false then.
  bool write(std::vector<record::Array> arrays);

 private:
  using Clock = std::chrono::steady_clock;

  JobContext& context_;
  const Json identity_;
  Clock::time_point last_write_ = Clock::now();
  double write_seconds_ = 0;  // what the last write took
};

// Of a job's time that may go into writing partial.h5.
inline constexpr double kWriteShare = 0.02;

}  // namespace tarflow::experiments
