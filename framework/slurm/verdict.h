// What has become of an array task, judged from all that is known of it. Whether its jobs are
// submitted again is decided by driver/loop (Loop::fail).
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/job/attempts.h"
#include "framework/job/store.h"
#include "framework/slurm/events.h"
#include "framework/slurm/queue.h"

namespace tarflow::slurm {

// A job of the task as its own folder has it.
struct TaskJob {
  std::string hash;
  bool done = false;
  job::Attempts attempts;
  std::filesystem::path log;
  std::string kept = {};  // why its result can neither be used nor be replaced; "": it is not so
};

struct TaskEvidence {
  std::optional<TaskState> state;  // what Slurm says; nothing: it knows nothing of the task
  std::vector<TaskEvent> events;
  std::vector<TaskJob> jobs;
  std::filesystem::path output;       // Slurm's output file of the task
  std::string output_end;             // its last line that is not empty
  bool memory_grows = false;          // with the next submission
  std::set<std::string> places = {};  // that attempts of this task may name (job::Attempt::place)
};

struct Verdict {
  enum class What {
    kWaiting,   // in the queue
    kRunning,   // at work
    kDone,      // all its jobs are
    kFailed,    // for good: by fault of its jobs, of the profile, or by somebody's wish
    kRequeue,   // Slurm holds it; put_back() lets it run
    kResubmit,  // it is over for no fault of its jobs: `left` is to be submitted anew
  };
  What what = What::kWaiting;
  std::string reason;             // in words; "" for kDone
  std::filesystem::path log;      // that says most of it; "" where there is none
  std::vector<std::string> left;  // jobs neither done nor failed for good
  // Jobs that failed for good, with their own reasons and logs; there may be some whatever becomes
  // of the others.
  struct Failed {
    std::string job, reason;
    std::filesystem::path log;
  };
  std::vector<Failed> failed;
  bool dependency = false;  // kFailed because a job that it waited for did not end well
};
const char* name_of(Verdict::What what);

Verdict judge(const TaskEvidence& evidence);

// Everything on disk about one task of a submission, and what the queue says of it. With the
// sweep's store, results that it knows are not read again.
TaskEvidence gather_evidence(const SubmissionFolder& folder, const Submission& submission,
                             size_t task, const TaskStates& states,
                             const job::JobStore* store = nullptr);

}  // namespace tarflow::slurm
