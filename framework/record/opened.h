// A record whose table is read at once and whose arrays are read when they are asked for: reports
// on thousands of points look at a few arrays of each.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/record/array.h"
#include "framework/record/hdf5.h"
#include "framework/record/links.h"
#include "framework/record/record.h"

namespace tarflow::record {

// The jobs of one open file. The file may be moved or replaced meanwhile, but for files to which it
// links. For one thread.
class StoredJobs {
 public:
  // `file` open, checked by verify().
  StoredJobs(std::filesystem::path path, Handle file);

  // nullptr where the job has no array of this path. Stays where it is as long as this object.
  // Throws Error.
  const Array* array(const std::string& job, const std::string& path);
  std::vector<std::string> array_paths(const std::string& job);        // sorted; throws Error
  Json environment(const std::string& job);                            // throws Error
  std::optional<Array> order() { return read_array(file_, "order"); }  // /order; throws Error
  // The whole job without columns and rows. Nothing of it is kept here. Throws Error.
  JobRecord read(const std::string& job);

  // Files with arrays of these jobs that cannot be read, as far as they can be told without reading
  // them whole.
  std::vector<Problem> broken_links() const { return linked_.problems(); }
  // Whether the array is in such a file.
  bool is_lost(const std::string& job, const std::string& path);

 private:
  const Handle& group_of(const std::string& job);

  std::filesystem::path path_;
  Handle file_, jobs_;
  LinkedFiles linked_;
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
