// Whether a job of a task comes any further from one allocation to the next.
#pragma once

#include <vector>

#include "framework/slurm/events.h"

namespace tarflow::slurm {

// Starts of the task, the one that stopped the job included, in which the job came no further than
// `stopped` says although it ran for `enough` seconds or more. `before`: events of earlier starts.
int starts_without_headway(const std::vector<TaskEvent>& before, const TaskEvent& stopped,
                           double enough);

}  // namespace tarflow::slurm
