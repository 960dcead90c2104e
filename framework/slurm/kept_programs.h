// The programs of jobs that wait: they stay what they were when the jobs were submitted, whatever
// is built meanwhile.
#pragma once

#include <filesystem>

namespace tarflow::slurm {

// Copies run_sweep and run_job from the folder `programs` to store/HASH/bin, unless programs of the
// same content are there, and returns that folder. Libraries that were installed with the programs
// are linked beside it. Throws Error naming the file.
std::filesystem::path keep_programs(const std::filesystem::path& programs,
                                    const std::filesystem::path& store);

struct RemovedPrograms {
  size_t copies = 0;
  double bytes = 0;
};
// Removes the copies in `store` that no submission of the sweeps in the folder `results` may still
// run, and what interrupted copies left. Removes nothing while a submission cannot be read, or
// while another run_sweep may be at work in `results`: it may be about to submit with them. The
// caller holds the lease of `own_sweep`.
RemovedPrograms remove_unused_programs(const std::filesystem::path& results,
                                       const std::filesystem::path& store,
                                       const std::filesystem::path& own_sweep);

}  // namespace tarflow::slurm
