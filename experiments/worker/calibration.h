// The calibration of a job's model, which windows with `guess: linear` need (method.md section 7):
// made once for all jobs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "experiments/worker/job_context.h"
#include "framework/core/strategy.h"
#include "framework/sampling/linear_model.h"

namespace tarflow::experiments {

// Nothing where no strategy needs it. It is kept in the folder `cache` of the results by the
// checkpoint's content, the choice of its weights, the compute type and the device's model, and
// made where none is kept. All ranks of a job call this; rank 0 reads or makes it, and all receive
// the same. `memory_limit` as the setting, in GB. Its hash and what it took go to the log and to
// the environment. To be called before anything is timed. Throws Error where the calibration fails.
std::shared_ptr<const Calibration> calibration_for(JobContext& context,
                                                   const std::vector<Strategy>& strategies,
                                                   const Model& model, double memory_limit);
// The same, needed in any case. Nothing for a model of one token.
std::shared_ptr<const Calibration> calibration_of(JobContext& context, const Model& model,
                                                  double memory_limit);

// The hash that calibration_for() put into the environment of rank 0; "" where there is none.
std::string calibration_hash(JobContext& context, const Model& model);

}  // namespace tarflow::experiments
