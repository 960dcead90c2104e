// submit.sbatch: what Slurm is asked for a submission, to be read by people as well.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/slurm/submission.h"

namespace tarflow::slurm {

// The whole file. `working_folder` is where the tasks run, as relative paths of a sweep mean it.
// Throws Error when a path cannot be written into it.
std::string sbatch_text(const Submission& submission, const SubmissionFolder& folder,
                        const std::filesystem::path& working_folder);

// The options that say what a task needs and where it runs, as sbatch takes them on its command
// line.
std::vector<std::string> resource_options(const Submission& submission);

// Seconds that an allocation of the submission is asked for; 0: as the partition has it.
double allocation_seconds(const Submission& submission);

// "1-02:03:04", as Slurm reads times.
std::string slurm_time_text(double seconds);

// As one word of a shell, and of a line `#SBATCH --option=`. Throw Error where there is no way to
// write it.
std::string shell_word(const std::string& text);
std::string sbatch_word(const std::string& text);

}  // namespace tarflow::slurm
