// The jobs of a plan on Slurm: submitted, and with --wait followed to their ends.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "framework/job/estimate.h"
#include "framework/job/plan.h"
#include "framework/job/progress.h"
#include "framework/process/process.h"
#include "framework/slurm/arrays.h"
#include "framework/slurm/cluster_profile.h"
#include "framework/slurm/faults.h"
#include "framework/slurm/standing.h"
#include "framework/slurm/submit.h"

namespace tarflow::slurm {

struct SlurmOptions {
  ClusterProfile profile;
  std::filesystem::path programs;  // folder with run_sweep and run_job
  std::chrono::milliseconds poll = std::chrono::seconds(15);
  std::function<void()> beat = [] {};                      // called some times a second
  std::function<bool()> cancelled = [] { return false; };  // asked from outside to stop
  std::function<void(const job::Job&, double seconds)> done = [](const job::Job&, double) {};
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

struct SlurmRan {
  size_t submitted = 0;             // jobs
  size_t held = 0;                  // jobs that Slurm had already
  std::vector<std::string> arrays;  // numbers of the arrays submitted
  size_t failed = 0;                // for good; known after waiting only
  bool failed_fast = false;         // one did with `run: fail_fast`; the others were taken back
  bool interrupted = false;         // asked to stop waiting; the tasks go on
};

class SlurmDriver {
 public:
  // `plan` and `standing` are those of now; `jobs` are the pending ones that Slurm does not have.
  SlurmDriver(SlurmOptions options, const job::Plan& plan, const ExperimentSchemas& schemas,
              job::Estimator& estimator);

  // Submits what is not held. Throws Error when Slurm does not take it; what it took goes on.
  SlurmRan submit(const job::Jobs& jobs, const Standing& standing);
  // What submit() would give to sbatch, file by file.
  std::string dry_run(const job::Jobs& jobs);
  // After submit: until all jobs, those that were held as well, are done or have failed for good.
  SlurmRan wait(const process::HeldSignals& signals, job::Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;
  enum class State { kToSubmit, kQueued, kDone, kFailed };
  struct Tracked {
    std::shared_ptr<const job::Job> job;
    std::string label;
    bool timed = false;
    State state = State::kToSubmit;
    // Where Slurm has it.
    SubmissionFolder submission;
    TaskId task;
    int resubmissions = 0;
    int missing = 0;     // looks in a row at which Slurm did not have it
    bool shown = false;  // as running
  };

  void track(std::shared_ptr<const job::Job> job, State state);
  void submit_due();
  std::vector<std::string> open_arrays() const;
  Submission submission_of(const TaskArray& array, Turns::Turn turn) const;
  void give(const TaskArray& array, Turns& turns);
  bool prepare(Tracked& tracked);
  void note(const Submission& submission, const SubmissionFolder& folder);
  QueuedJob queued(const Tracked& tracked) const;
  // The jobs that make the files it reads, as far as they are tracked.
  std::vector<const Tracked*> makers(const Tracked& tracked) const;
  bool may_submit(const Tracked& tracked) const;
  bool look(job::Progress& progress);
  void look_at(Tracked& tracked, const Standing& standing, job::Progress& progress);
  bool take_result(Tracked& tracked, job::Progress& progress);
  void end(Tracked& tracked, const TaskStates& states, job::Progress& progress);
  void release(Tracked& tracked, const TaskStates& states, job::Progress& progress);
  std::vector<std::string> nodes_to_avoid() const;
  void submit_again(Tracked& tracked, const std::string& reason, job::Progress& progress);
  const TaskEvidence& evidence_of(const Tracked& tracked, const TaskStates& states);
  void fail(Tracked& tracked, const std::string& reason, job::Progress& progress);
  bool all_ended() const;
  Patience patience() const;
  job::JobFolder folder_of(const Tracked& tracked) const;

  SlurmOptions options_;
  const job::Plan& plan_;
  const ExperimentSchemas& schemas_;
  job::Estimator& estimator_;
  std::optional<ClusterFacts> facts_;
  bool dry_ = false;
  std::string scripts_;                              // of a dry run
  std::map<std::string, Tracked> tracked_;           // by the job's hash
  std::map<std::string, std::string> job_of_point_;  // hash of the tracked job, by the point's key
  std::map<TaskId, TaskEvidence> evidence_;          // of tasks that have ended
  TaskStates ends_;  // how tasks ended; Slurm is not asked again about a submission that is over
  Queue queue_;
  std::vector<std::string> order_;  // hashes as they were added
  SlurmRan ran_;
};

// How often the profile wants the cluster asked. The tests of this program may shorten it with the
// variable TARFLOW_POLL_SECONDS.
std::chrono::milliseconds poll_of(const ClusterProfile& profile);
// Patience::second_look: a minute, or some polls where the variable shortens those.
std::chrono::milliseconds second_look_of(const ClusterProfile& profile);

}  // namespace tarflow::slurm
