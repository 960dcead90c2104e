// Where the ranks of a job are.
#pragma once

#include "experiments/worker/job_context.h"

namespace tarflow::experiments {

// On rank 0: of each rank its host, process, device and, of a GPU, its place on the bus; {} on the
// others. Throws Error on rank 0 when two ranks have one GPU.
Json describe_ranks(JobContext& context);

}  // namespace tarflow::experiments
