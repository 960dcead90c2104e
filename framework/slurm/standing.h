// What of a sweep Slurm has: its submissions that are not over, and the jobs in them.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "framework/job/job.h"
#include "framework/slurm/queue.h"
#include "framework/slurm/submission.h"
#include "framework/slurm/submit.h"

namespace tarflow::slurm {

// A job in a task that is queued, running or to be started again.
struct HeldJob {
  size_t submission = 0;  // in Standing::submissions
  size_t task = 0;        // of its array
  bool running = false;
  std::string reason;  // why it waits, or on which node it runs
};

struct Standing {
  std::vector<KnownSubmission> submissions;  // open ones
  std::vector<KnownSubmission> ended;        // of which this was not known before
  std::map<std::string, HeldJob> held;       // by the job's hash
  TaskStates states;                         // of all their tasks
  bool unread = false;  // a submission cannot be read: Slurm may have more than what is here
};

// Its task as Slurm names it; a job of another queue system is no array.
TaskId task_id(const Submission& submission, size_t task);
// What is asked about it.
WantedArray wanted_of(const Submission& submission);

// Asks Slurm about the submissions that are not over by their tasks' own words, and not at all
// where there are none. What it learns is noted (numbers that were never noted, submissions that
// are over), so that the caller must hold the sweep's lease. Throws Error when Slurm cannot be
// asked. `looks`: whether tasks that Slurm does not show are held until the caller's next look, or
// looked for again here until it is certain that they are over.
enum class Looks { kOne, kUntilSure };
Standing standing_of(const std::filesystem::path& sweep_folder, Queue& queue,
                     const Patience& patience, const std::function<void(const Problem&)>& complain,
                     Looks looks = Looks::kOne);

// Has Slurm end all tasks that are held; they do not queue again. What cannot be noted (a full
// disk) or cancelled keeps no other from being cancelled; then it throws Error with all of it.
void take_back(Standing& standing, const Patience& patience);
// Writes a submission of which tasks are taken back. Where that fails, adds it to `problems`.
void note_taken_back(const KnownSubmission& known, std::vector<Problem>& problems);

// The jobs without the points that held ones compute, and how many points those are.
struct NotHeld {
  job::Jobs jobs;
  size_t points = 0;
  std::unordered_set<std::string> keys;  // of the points of held jobs
};
NotHeld not_held(const job::Jobs& jobs, const Standing& standing,
                 const std::filesystem::path& jobs_folder);

}  // namespace tarflow::slurm
