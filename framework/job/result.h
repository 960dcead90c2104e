// The result of one job: the one place that says whether the job is done, and the one that moves
// results. Drivers, tasks and workers use it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "framework/core/error.h"
#include "framework/job/job.h"
#include "framework/job/job_folder.h"

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
// Whether the job tells which points it has.
bool names_points(const Job& job);

// Of a result that is neither read nor written over: what is wrong, and what the user can do.
Problem kept_problem(const Error& failure);

}  // namespace tarflow::job
