// A record whose table is read at once and whose arrays are read when they are asked for: reports
// on thousands of points look at a few arrays of each.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/record/hdf5.h"
#include "framework/record/record.h"

namespace tarflow::record {

// The jobs of one open file. The file may be moved or replaced meanwhile. For one thread.
class StoredJobs {
 public:
  // `file` open, checked by verify().
  StoredJobs(std::filesystem::path path, Handle file);

  // nullptr where the job has no array of this path. Stays where it is as long as this object.
  // Throws Error.
  const Array* array(const std::string& job, const std::string& path);
  std::vector<std::string> array_paths(const std::string& job);  // sorted; throws Error
  Json environment(const std::string& job);                      // throws Error

 private:
  const Handle& group_of(const std::string& job);

  std::filesystem::path path_;
  Handle file_, jobs_;
  std::pair<std::string, Handle> last_;  // the job asked for last
  std::map<std::pair<std::string, std::string>, std::unique_ptr<const Array>> arrays_;
};

struct OpenedSweep {
  SweepRecord sweep;  // of its jobs job.json alone: no arrays, no environment
  std::shared_ptr<StoredJobs> stored;
};

// Checks the whole file, which may be a sweep's or a job's. Throws Error naming it.
OpenedSweep open_sweep(const std::filesystem::path& file);

}  // namespace tarflow::record
