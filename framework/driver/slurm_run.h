// What run_sweep does where a cluster profile has jobs run by Slurm.
#pragma once

#include <string>

#include "framework/driver/live_page.h"
#include "framework/driver/loop.h"
#include "framework/driver/run.h"
#include "framework/job/plan.h"
#include "framework/job/smoke.h"
#include "framework/process/lease.h"
#include "framework/slurm/cluster_profile.h"
#include "framework/slurm/cluster_profile_file.h"
#include "framework/slurm/driver.h"
#include "framework/slurm/status.h"

namespace tarflow::driver {

// Where profiles are looked for.
slurm::ProfileFolders profile_folders(const RunOptions& options);

// What --cluster, or the user's own folder, says. Throws Error.
slurm::ClusterProfile profile_of(const RunOptions& options);

// `plan` as it would be on that cluster.
job::PlanOptions plan_options(const RunOptions& options, const slurm::ClusterProfile& profile,
                              const SharedJson& smoke);

// The folder of the profiles that come with the program.
std::filesystem::path shipped_profiles(const RunOptions& options);

// Whether jobs compute on CPUs, here or on that cluster, as far as that can be told.
bool on_cpu(const slurm::ClusterProfile& profile);
// For a smoke run there.
job::StandIn stand_in_on(const slurm::ClusterProfile& profile);

// Takes from plan.pending what Slurm has already, so that nothing is computed twice, and says so.
// Where Slurm cannot be asked, what was given to it counts as its. The caller holds the lease.
slurm::Standing leave_to_slurm(job::Plan& plan, const slurm::ClusterProfile& profile,
                               const process::Lease& lease, job::JobStore& store);

// Notes in `view` how many jobs wait in the queue with another profile than the present one.
void note_changed_profile(const std::filesystem::path& sweep_folder,
                          const slurm::ClusterProfile& profile, slurm::ClusterView& view);

struct SlurmRan {
  Ran ran;          // failures are known after waiting only
  size_t jobs = 0;  // that Slurm has or had: those submitted, and those that it had already
};

// What a loop does on this machine and on a cluster alike: it holds to the lease, learns times, and
// has the page made. Keeps references.
LoopOptions loop_options(const job::Plan& plan, const process::Lease& lease,
                         job::Estimator& estimator, LivePage& page);

// What the loop and the user know of a job.
job::Task task_of(const job::Plan& plan, std::shared_ptr<const job::Job> job,
                  const ExperimentSchemas& schemas);

// Submits plan.pending; with --wait, until everything has ended, and `page` is made meanwhile.
SlurmRan run_on_slurm(const job::Plan& plan, const slurm::Standing& standing,
                      const ExperimentSchemas& schemas, const RunOptions& options,
                      const slurm::ClusterProfile& profile, const process::Lease& lease,
                      job::Estimator& estimator, LivePage& page);

// What plan says beside the plan.
std::string dry_run_on_slurm(const job::Plan& plan, const ExperimentSchemas& schemas,
                             const RunOptions& options, const slurm::ClusterProfile& profile,
                             job::Estimator& estimator);

// Ends what the sweep has in the queue and waits until it is gone. Whether there was anything.
// `silent`: see process::LeaseFile. Throws Error.
bool cancel_on_slurm(const std::filesystem::path& sweep_folder, const std::string& name,
                     const RunOptions& options,
                     const std::optional<process::LeaseHolder>& silent = {});

}  // namespace tarflow::driver
