// Which nodes to leave out, and how a task is kept away from them.
#pragma once

#include <string>
#include <vector>

#include "framework/slurm/verdict.h"

namespace tarflow::slurm {

// Nodes on which tasks were lost, or workers died again and again before they did anything and none
// ever succeeded; sorted. None when so many look bad that it is more likely the jobs' fault.
std::vector<std::string> bad_nodes(const std::vector<TaskEvidence>& tasks);

// Has Slurm run a task that it holds, but not on `without`. Returns Slurm's complaint, "" when it
// went well. Throws Error when the controller is away.
std::string put_back(const TaskId& task, const std::vector<std::string>& without,
                     const Patience& patience);

}  // namespace tarflow::slurm
