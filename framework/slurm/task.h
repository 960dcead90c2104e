// The program of an array task: runs the task's jobs inside the allocation, one after another, or
// several at once where allocations are whole nodes.
#pragma once

#include <filesystem>

namespace tarflow::slurm {

// `run_sweep --cluster-task FOLDER`, FOLDER of a submission. Slurm's variables say which task it
// is. Jobs that are done are passed over, those that fail are tried again as `run: retries` says.
// Told to end (USR2 ahead of the time limit or a preemption, TERM), it has its workers write what
// they have and puts its task back into the queue. What happens is noted beside the submission.
// Returns the exit status: 0 when all jobs are done, 1 when some failed for good, 75 when some are
// left. Throws Error.
int run_cluster_task(const std::filesystem::path& folder);

}  // namespace tarflow::slurm
