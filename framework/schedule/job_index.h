// What the job folders of a sweep hold, remembered so that ten thousand of them need not be read
// again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "framework/core/error.h"
#include "framework/schedule/job.h"
#include "framework/schedule/job_folder.h"

namespace tarflow::schedule {

// A point that was computed: its row in a job's result.
struct DonePoint {
  std::string id;
  std::string job;  // hash
  std::filesystem::path result;
  std::string sha256;  // of the result's content
  int64_t generation = 0;
};

struct DonePoints {
  std::unordered_map<std::string, DonePoint> by_key;
  std::vector<Problem> problems;  // results that are damaged and have to be computed again
};

class JobIndex {
 public:
  // Of results/<sweep>. Remembers in its index.json; one that is absent or damaged is an empty one.
  explicit JobIndex(std::filesystem::path folder);

  // Looks through all job folders for the points of `jobs`. Folders that are half written, of other
  // points or not jobs at all are passed over. Of two results of one point the one of the higher
  // generation holds, then the one whose hash sorts first. Results that changed since they were
  // last seen are read whole and checked.
  DonePoints find_done(const Jobs& jobs);

  // Keeps what was learnt, if anything. An index that cannot be written costs time and nothing
  // else.
  void save() const;

 private:
  struct Known {
    std::string job_stamp, result_stamp, sha256;
    int64_t generation = 0;
    std::vector<std::pair<std::string, std::string>> points;  // id, key
  };

  const Known* look(const JobFolder& folder, std::vector<Problem>& problems);

  std::filesystem::path folder_;
  std::unordered_map<std::string, Known> known_;  // by the job folder's name
  bool changed_ = false;
};

// Folders below `jobs_folder`, sorted by name.
std::vector<JobFolder> folders_in(const std::filesystem::path& jobs_folder);

}  // namespace tarflow::schedule
