// What a sweep has on disk of its jobs: the one place that says which are done and which results
// are damaged, unreadable or of a newer program, and the one that moves results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "framework/core/error.h"
#include "framework/job/job.h"
#include "framework/job/job_folder.h"
#include "framework/record/fault.h"

namespace tarflow::job {

// What stands in the place of a job's result.
struct Result {
  enum class State {
    kAbsent,
    kDone,      // whole, and of the job's generation or a later one
    kOutdated,  // whole, of an earlier generation: it holds until there is a new one
    kDamaged,   // or of another job, or without all of its points: to be set aside
    // Whole, but computed on another model of device than the one the job states: to be set aside.
    kOtherDevice,
    kUnreadable,  // now: nothing may be written over it
    kNewer,       // of a newer version of this program: likewise
  };
  State state = State::kAbsent;
  Problem problem = {};  // of one that is neither absent nor whole

  bool done() const { return state == State::kDone; }
  bool whole() const { return state == State::kDone || state == State::kOutdated; }
  bool unusable() const { return state == State::kDamaged || state == State::kOtherDevice; }
  bool kept() const { return state == State::kUnreadable || state == State::kNewer; }
};

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

// --- one folder: what drivers, tasks and workers do ---

// Reads the whole file. Changes nothing.
Result find_result(const JobFolder& folder, const Job& job);
// The same where the job is only known by its folder: by job.json or, where that is absent or
// damaged, by the result.
Result find_result(const JobFolder& folder);
// Makes the folder ready for an attempt: job.json, and nothing half-written of earlier ones. A
// whole result (a forced job's) becomes previous.h5 until the new one stands; a damaged one is set
// aside, which the job's log says. Returns the claim that it took on the folder (claim.h): whoever
// prepared it before writes nothing any more. Throws Error where a result must be kept or the
// folder cannot be written.
std::string prepare_folder(const Job& job, const JobFolder& folder, const std::string& place = "");
// For the worker, before it writes a result: sets a damaged one aside; what it did, "" for nothing.
// Throws Error where the result must be kept, or the folder was taken over (claim.h).
std::string clear_place(const JobFolder& folder, const Job& job);
// After an attempt: nothing when the job is done, else what is wrong with its result, "" when there
// is none. A damaged result, or one of another device, is set aside, and the previous one stands
// again where there is no new one. `found`: what the result was.
std::optional<std::string> settle_result(const JobFolder& folder, const Job& job,
                                         Result::State* found = nullptr);
// Throws NotRead (damaged) where the whole result of the job was computed on another model of
// device than the job states.
void require_device(const std::filesystem::path& result, const std::string& sha256, const Job& job);
// The job of a folder: as job.json tells or, where it does not name its points, a whole result.
// Throws Error.
Job job_in(const JobFolder& folder, const std::filesystem::path& result);

// --- a sweep ---

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

// Of a result that is neither read nor written over: what is wrong, and what the user can do.
Problem kept_problem(const Error& failure);

}  // namespace tarflow::job
