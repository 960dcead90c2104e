// results/<sweep>/slurm/<name>/: a job array given to Slurm, as both sides of it read it: the
// run_sweep that submits, and the one that runs in each task.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/json.h"
#include "framework/slurm/cluster_profile.h"
#include "framework/sweep/run_settings.h"

namespace tarflow::slurm {

struct Submission {
  std::string name;  // of its folder: UTC stamp and counter, "20260102-030405-0"
  // Slurm's name of the array, like no other: one that was submitted by a run_sweep killed before
  // it could note the number is found by it.
  std::string job_name;
  std::string job_id;              // Slurm's number of the array; "" until it is known
  std::string cluster;             // as ClusterName in slurm.conf; "" where it cannot be told
  std::string submitted;           // UTC
  std::vector<std::string> after;  // numbers of arrays that have to end well first
  // And of arrays that have to end, well or not, since `max_parallel` holds for all together.
  std::vector<std::string> behind;
  std::vector<std::vector<std::string>> tasks;  // hashes of the jobs of each array task, in order
  std::set<std::string> timed;                  // of these, those that measure time
  sweep::RunSettings run;                       // of all its jobs
  ClusterProfile profile;
  std::filesystem::path programs;              // folder with run_job and run_sweep
  std::map<std::string, int64_t> tries = {};   // of jobs that were submitted before and lost
  std::map<std::string, double> reached = {};  // how far jobs were: job::Task::reached
  int64_t attempt = 1;  // by which `mem: ... * attempt` and `time: ... * attempt` grow
  std::vector<std::string> avoided = {};  // nodes that were found to be bad before
  // Why it was given up before Slurm took it (sbatch refused it, it was cancelled); "": it was not.
  std::string given_up;
  // sbatch ended well, but the number is not known: it may be queued, and is never given again.
  bool taken = false;
  bool cancelled = false;  // by run_sweep cancel: its tasks end, and do not queue again
  std::set<size_t> cancelled_tasks = {};  // by cancel --only: these alone do
  bool over = false;  // none of its tasks will run any more; nothing more is asked about it

  bool submitting() const { return job_id.empty() && given_up.empty(); }
  bool open() const { return !over && given_up.empty(); }
  bool taken_back(size_t task) const { return cancelled || cancelled_tasks.contains(task); }
  bool wanted(size_t task) const { return !taken_back(task) && given_up.empty(); }  // it is to run
};

Json to_json(const Submission& submission);
// Keys that are absent (another version wrote it) have their defaults, but for those without which
// it is not known which jobs Slurm has under which name. Throws Error naming the key.
Submission submission_from_json(const Json& json);

Json to_json(const sweep::RunSettings& run);
sweep::RunSettings run_settings_from_json(const Json& json);  // likewise

// What lies where in a submission's folder, results/<sweep>/slurm/<name>.
struct SubmissionFolder {
  std::filesystem::path path;

  std::filesystem::path submission() const { return path / "submission.json"; }
  std::filesystem::path script() const { return path / "submit.sbatch"; }
  std::filesystem::path job_script() const { return path / "job.sh"; }  // by command
  std::filesystem::path output(size_t task) const {
    return path / ("task-" + std::to_string(task) + ".out");
  }
  // results/<sweep>, and its jobs.
  std::filesystem::path sweep() const { return path.parent_path().parent_path(); }
  std::filesystem::path jobs() const { return sweep() / "jobs"; }
};

inline std::filesystem::path slurm_folder(const std::filesystem::path& sweep_folder) {
  return sweep_folder / "slurm";
}

Submission read_submission(const SubmissionFolder& folder);  // throws Error
void write_submission(const SubmissionFolder& folder, const Submission& submission);

struct KnownSubmission {
  SubmissionFolder folder;
  Submission submission;
};
// CPUs of a node that the jobs of a task at work get together; 0: neither the sweep nor the profile
// states them.
int64_t cpus_of(const Submission& submission);

// All of the sweep's, oldest first. What cannot be read is told in `problems`: Slurm may have its
// jobs, so nothing may be submitted or deleted then.
std::vector<KnownSubmission> read_submissions(const std::filesystem::path& sweep_folder,
                                              std::vector<Problem>& problems);

}  // namespace tarflow::slurm
