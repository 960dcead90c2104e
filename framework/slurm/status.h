// What the cluster does for a sweep, for run_sweep status: our records joined with Slurm's.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "framework/slurm/verdict.h"

namespace tarflow::slurm {

// Where a job is on the cluster.
struct ClusterJob {
  std::string task;  // "123_4"; the submission's name before Slurm gave it a number
  Verdict::What what = Verdict::What::kWaiting;  // of its task
  bool failed = false;                           // the job itself, for good
  std::string reason;
  bool array = true;   // its task is one of an array of Slurm's
  std::string nodes;   // "" unless it runs
  double elapsed = 0;  // seconds since its task started
  std::filesystem::path log;
  std::string submitted;  // UTC
};

struct ClusterView {
  // By hash, of jobs that were not done when their last task was looked at.
  std::map<std::string, ClusterJob> jobs;
  std::vector<std::string> notes;  // for the user: Slurm cannot be asked, a submission is damaged
  bool open = false;               // something is queued or runs
  std::chrono::milliseconds poll{0};  // between two looks, at least; 0: no submission
};

// Looks at all submissions of results/<sweep> and changes nothing. Slurm is asked about those that
// are not over; where it does not answer, our own records are all there is, and a note says so.
ClusterView cluster_view(const std::filesystem::path& sweep_folder, Queue& queue);

// Keeps what was judged of a task that is over, for when Slurm has forgotten it. Throws Error.
void note_verdict(const SubmissionFolder& folder, size_t task, const Verdict& verdict);

}  // namespace tarflow::slurm
