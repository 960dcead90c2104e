// Jobs on Slurm: submitted as arrays, and followed to their ends.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/job/executor.h"
#include "framework/job/job_folder.h"
#include "framework/slurm/arrays.h"
#include "framework/slurm/attempt_counts.h"
#include "framework/slurm/cluster_profile.h"
#include "framework/slurm/limits.h"
#include "framework/slurm/standing.h"
#include "framework/slurm/submit.h"
#include "framework/slurm/verdict.h"

namespace tarflow::slurm {

struct SlurmOptions {
  ClusterProfile profile;
  std::filesystem::path sweep_folder;  // results/<sweep>
  std::filesystem::path programs;      // folder with run_sweep and run_job
  std::chrono::milliseconds poll = std::chrono::seconds(15);
  Patience patience = {};
  bool rehearsal = false;  // nothing is given to Slurm: see scripts()
};

class SlurmDriver : public job::Executor {
 public:
  explicit SlurmDriver(SlurmOptions options);

  // A job that Slurm has already.
  void adopt(const job::Task& task, const Standing& standing, const HeldJob& held);
  std::vector<job::Event> submit(std::vector<job::Task> tasks) override;
  std::vector<job::Event> poll() override;
  void cancel(const std::set<std::string>& hashes, const std::string& why) override;
  bool outlives() const override { return true; }

  size_t waiting() const;                                             // jobs, for room in the queue
  bool makers_awaited() const;                                        // by any of these
  size_t submitted() const { return submitted_; }                     // jobs
  const std::vector<std::string>& arrays() const { return arrays_; }  // numbers of those submitted
  // Of a rehearsal: what would be given to sbatch, file by file, or which commands would be run.
  std::string scripts() const;
  // Of a rehearsal by command: what is left waiting is given as room and makers allow, as if all
  // that was given were done. scripts() then tells of these submissions alone.
  void rehearse_later();

 private:
  enum class State { kWaiting, kQueued, kDone, kOver };  // kWaiting: for room in the queue
  struct Tracked {
    job::Task task;
    State state = State::kOver;
    // Where Slurm has it.
    SubmissionFolder submission;
    TaskId id;
    int releases = 0;
    int missing = 0;       // looks in a row at which Slurm did not have it
    bool running = false;  // as was told
    // Looks in a row at which it waited for what it can never get, and the first of these.
    int too_large = 0;
    std::chrono::steady_clock::time_point too_large_since = {};
  };
  struct Room {
    size_t open;  // tasks that Slurm had
    std::chrono::steady_clock::time_point time;
  };
  // Jobs that sbatch refused for a limit.
  struct Refused {
    Limit limit;
    Error error;
    std::vector<std::string> jobs;
  };
  using Event = job::Event;
  using Events = std::vector<Event>;

  const ClusterFacts& facts();
  // Submits what waits, as far as the profile and Slurm allow.
  void top_up(Events& events);
  // Gives back those that wait for room and whose makers have ended without their files.
  void return_readers(Events& events);
  // Tasks that Slurm may have at once; 0: no limit is known.
  size_t most_open();
  // Whether sbatch said so, and nothing shows that there is room again.
  bool is_full();
  bool had_room() const;
  bool room_may_come() const;
  std::vector<QueuedJob> ready() const;
  size_t open_tasks() const;
  QueuedJob queued(const Tracked& tracked) const;
  std::vector<std::string> open_arrays() const;
  Submission submission_of(const TaskArray& array, Turns::Turn turn) const;
  // What sbatch refused; nothing when it took all that was to be given.
  std::optional<Refused> give(const TaskArray& array, Turns& turns, Events& events);
  std::optional<Refused> give_what_fits(TaskArray array, Turns& turns, Events& events);
  void say_room(const std::string& limit, Events& events);
  Error refusal_error(const Limit& limit, const Submission& submission,
                      const SubmissionFolder& folder) const;
  void rehearse(const Submission& submission, const SubmissionFolder& folder);
  bool prepare(Tracked& tracked, Events& events);
  void note(const Submission& submission, const SubmissionFolder& folder);
  void look(Events& events);
  void look_at(Tracked& tracked, const Standing& standing, Events& events);
  bool take_result(Tracked& tracked, Events& events);
  void end(Tracked& tracked, Events& events);
  void release(Tracked& tracked, const TaskStates& states, Events& events);
  bool never_starts(const Limit& limit, const TaskStates& states, std::optional<bool>& idle) const;
  void end_too_large(const TaskStates& states, Events& events);
  bool take_out(const SubmissionFolder& folder, const std::map<size_t, std::string>& tasks,
                Events& events) const;
  std::vector<std::string> nodes_to_avoid() const;
  const TaskEvidence& evidence_of(const Tracked& tracked);
  // Adds to what was told of the end of a job how far it came.
  void judge_headway(const Tracked& tracked, const TaskEvidence& evidence, Event& event) const;
  void fail(Tracked& tracked, const std::string& reason, int64_t left, Events& events);
  void fail(Tracked& tracked, Event event, Events& events);
  job::JobFolder folder_of(const Tracked& tracked) const;

  SlurmOptions options_;
  std::optional<ClusterFacts> facts_;
  std::string scripts_;
  // Of a rehearsal: a submission that was shown, and how many that are like it were not.
  struct Shown {
    Submission submission;
    size_t others = 0;
    bool now = true;  // in scripts()
  };
  std::vector<Shown> shown_;
  AttemptCounts attempts_;
  std::map<std::string, Tracked> tracked_;   // by the job's hash
  std::map<TaskId, TaskEvidence> evidence_;  // of tasks that have ended
  std::set<std::string> avoided_;            // nodes that an earlier run_sweep found to be bad
  TaskStates ends_;  // how tasks ended; Slurm is not asked again about a submission that is over
  Queue queue_;
  std::chrono::steady_clock::time_point next_look_ = {};
  std::optional<Room> refused_;  // since there was no room
  std::optional<Room> room_;     // how many Slurm took when it refused more
  std::optional<std::chrono::steady_clock::time_point> last_end_;  // of a job
  size_t submitted_ = 0;
  bool adopted_ = false;  // a job that an earlier run_sweep submitted
  std::vector<std::string> arrays_;
};

// How often the profile wants the cluster asked. The tests of this program may shorten it with the
// variable TARFLOW_POLL_SECONDS.
std::chrono::milliseconds poll_of(const ClusterProfile& profile);
// Patience::second_look: a minute, or some polls where the variable shortens those.
std::chrono::milliseconds second_look_of(const ClusterProfile& profile);

}  // namespace tarflow::slurm
