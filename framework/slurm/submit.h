// Giving arrays to Slurm so that none is lost or given twice, whatever is killed meanwhile.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "framework/slurm/ask.h"
#include "framework/slurm/submission.h"

namespace tarflow::slurm {

// What the cluster says of itself.
struct ClusterFacts {
  std::string name;          // ClusterName
  size_t most_tasks = 1001;  // of an array: MaxArraySize
};

// Throws Error when Slurm is not here, or does not answer in time.
ClusterFacts cluster_facts(const Patience& patience);

// A folder for a further submission below results/<sweep>/slurm, made; its name and the array's
// name are filled in.
SubmissionFolder new_submission(const std::filesystem::path& sweep_folder, Submission& submission);

// The job numbers in what `sbatch --parsable` or `squeue --format=%F` printed: each line that is a
// number, or "number;cluster", once. Lines of a banner are passed over.
std::vector<std::string> job_numbers(const std::string& text);

// Writes submission.json and submit.sbatch, has sbatch take it and notes the number. Where sbatch
// prints none, or several, the job is looked for by its name. Throws Error when Slurm refuses it,
// which is noted; when it does not answer, so that it is not known whether it has it and recover()
// will tell; when sbatch took it but its number cannot be found; and when something cannot be
// written (a full disk): before sbatch nothing is given to Slurm, after it recover() finds the
// array, or it is cancelled.
void submit(const SubmissionFolder& folder, Submission& submission,
            const std::filesystem::path& working_folder, const Patience& patience);

// Of a submission whose number was never noted: looks for it in the queue by its name, twice where
// the first look does not find it. Notes the number, or that Slurm does not have it; where that
// cannot be written, `patience` is told. Throws Error when Slurm does not answer, and when sbatch
// took it but the queue does not show it.
void recover(const SubmissionFolder& folder, Submission& submission, const Patience& patience);

// Ends all of its tasks, queued ones as well. Throws Error.
void cancel(const Submission& submission, const Patience& patience);
// Ends these of its tasks. Throws Error.
void cancel_tasks(const Submission& submission, const std::set<size_t>& tasks,
                  const Patience& patience);

}  // namespace tarflow::slurm
