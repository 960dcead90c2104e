// The actions of run_sweep that run nothing: plans, status, logs, cancelling and cleaning.
#pragma once

#include "framework/core/experiment.h"
#include "framework/schedule/plan.h"
#include "framework/schedule/run.h"
#include "framework/sweep/sweep.h"

namespace tarflow::schedule {

// Returns the exit status. Throws Error.
int look_at(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options);

}  // namespace tarflow::schedule
