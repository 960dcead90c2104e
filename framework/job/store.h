// What a sweep has on disk of its jobs: which points are done, and which results are damaged,
// unreadable or of a newer program. job/result says so of one job.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "framework/core/error.h"
#include "framework/job/job.h"
#include "framework/job/job_folder.h"
#include "framework/job/result.h"
#include "framework/record/fault.h"

namespace tarflow::job {

// A point that was computed: its row in a job's result.
struct DonePoint {
  std::string id;
  std::string job;  // hash
  std::filesystem::path result;
  std::string sha256;  // of the result's content
  int64_t generation = 0;
};

// A result that is there and whose points do not count as done.
struct BadResult {
  JobFolder folder;
  std::filesystem::path file;
  Problem problem;
  // Keys of its points; none where its job.json does not tell.
  std::vector<std::string> keys = {};
};

struct DonePoints {
  std::unordered_map<std::string, DonePoint> by_key;
  // To be set aside (record/fault.h) and computed again.
  std::vector<BadResult> damaged;
  // They cannot be read now, or are of a newer version: neither they nor what is in them is
  // computed again.
  std::vector<BadResult> kept;
  std::unordered_set<std::string> kept_keys;     // of points in them that are done nowhere else
  std::unordered_set<std::string> kept_folders;  // hashes of jobs of whose points nothing is known
};

// Of results/<sweep>. Remembers what the folders hold in its index.json, so that ten thousand of
// them need not be read again; one that is absent or damaged is an empty one.
class JobStore {
 public:
  explicit JobStore(std::filesystem::path sweep_folder);

  // Looks through all job folders for the points of `jobs`. Folders that are half written, of other
  // points or not jobs at all are passed over. Of two results of one point the one of the higher
  // generation holds, then the one whose hash sorts first. Results that changed since they were
  // last seen are read whole and checked. What a result is of is told by job.json or, where that is
  // absent or damaged, by the result. Throws Error when the folders cannot be listed: what is done
  // would be taken for undone.
  DonePoints find_done(const Jobs& jobs);

  // Ids of the points of all job folders, with results or without; nothing where one does not tell.
  // After find_done(), which knows the points of results. Throws Error when the folders cannot be
  // listed.
  std::optional<std::unordered_set<std::string>> ids() const;

  // As find_result(folder), but what was read whole and has not changed since is not read again.
  Result find(const JobFolder& folder) const;

  // Takes what another process learnt and saved meanwhile.
  void reload();
  // Keeps what was learnt, if anything. An index that cannot be written costs time and nothing
  // else.
  void save() const;

 private:
  struct Known {
    std::string job, result, sha256;  // stamps of its files, and the hash of the result
    int64_t generation = 0;
    std::vector<std::pair<std::string, std::string>> points;  // id, key
    NLOHMANN_DEFINE_TYPE_INTRUSIVE(Known, job, result, sha256, generation, points)
  };

  struct Bad {
    BadResult result;
    record::Fault fault;
  };
  struct Seen {
    const Known* known = nullptr;  // nullptr: no whole result
    std::filesystem::path result;
    std::vector<Bad> bad;
  };

  Seen look(const JobFolder& folder);
  const Known* read(const JobFolder& folder, const std::filesystem::path& result);

  std::filesystem::path folder_;
  std::unordered_map<std::string, Known> known_;  // by the job folder's name
  bool changed_ = false;
};

// Folders below `jobs_folder`, sorted by name; none where it is absent. Throws Error when they
// cannot be listed.
std::vector<JobFolder> folders_in(const std::filesystem::path& jobs_folder);

// Sets a damaged result out of the way of the one that takes its place, which the job's log says.
// The caller holds the lease. What was wrong, and what became of it.
Problem set_damaged_aside(const BadResult& bad);

}  // namespace tarflow::job
