// The actions of run_sweep that run nothing: plans, status, logs, cancelling and cleaning.
#pragma once

#include "framework/core/experiment.h"
#include "framework/driver/run.h"
#include "framework/job/plan.h"
#include "framework/sweep/sweep.h"

namespace tarflow::driver {

// Returns the exit status. Throws Error.
int look_at(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options);

}  // namespace tarflow::driver
