// Why sbatch refused a job.
#pragma once

#include <string>

namespace tarflow::slurm {

// The user, the account or the cluster has as many jobs as it may have: there will be room again. A
// limit on the size of a job is none of these; where no limit is named it may be one of these.
// `refusal` has sbatch's messages one after another, with semicolons.
bool says_full(const std::string& refusal);

}  // namespace tarflow::slurm
