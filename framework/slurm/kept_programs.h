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

}  // namespace tarflow::slurm
