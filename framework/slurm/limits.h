// Limits of a QOS, an account or a partition, as Slurm's programs name them.
#pragma once

#include <string>

namespace tarflow::slurm {

struct Limit {
  enum class Kind {
    kNone,    // no limit is named
    kQueue,   // on the number of jobs that are queued or run at once: it passes when some end
    kJob,     // on the size of one job: the job can never start
    kUser,    // on all running jobs of a user together
    kOthers,  // on those of an account or of everybody, or on a sum over time
  };
  Kind kind = Kind::kNone;
  std::string name;  // in Slurm's words, "QOSMaxCpuPerJobLimit"
};

// Of Slurm's reason for a job that waits, "QOSMaxGRESPerUser".
Limit limit_of_reason(const std::string& reason);
// Of what sbatch printed, its messages one after another with semicolons. A newer sbatch names the
// limit in a message of its own, an older one only says that there is one: Kind::kQueue without a
// name, since it may be that.
Limit limit_of_refusal(const std::string& refusal);

// Of a job that exceeds the limit by itself: "it asks for more CPUs than its QOS allows one job
// (QOSMaxCpuPerJobLimit)", and what to do about it.
std::string too_large_text(const Limit& limit);
std::string too_large_repair(const Limit& limit);
// Both, of a job that waits for ever.
std::string never_starts_text(const Limit& limit);

}  // namespace tarflow::slurm
