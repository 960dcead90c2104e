// Submissions to a queue system that is reached through the templates of a cluster profile
// (`executor: command`): one task each, since these systems have their own ways with arrays.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/command/queue.h"
#include "framework/slurm/allocation.h"
#include "framework/slurm/ask.h"
#include "framework/slurm/submission.h"

namespace tarflow::slurm {

// Values of the fields of `submit`. Throws Error for a job that needs several nodes.
command::Fields submit_fields(const Submission& submission, const SubmissionFolder& folder);

// job.sh: what the queue runs. Throws Error when a path cannot be written into it.
std::string job_script_text(const Submission& submission, const SubmissionFolder& folder,
                            const std::filesystem::path& working_folder);

// What plan shows: the command line, and the file.
std::string submit_preview(const Submission& submission, const SubmissionFolder& folder,
                           const std::filesystem::path& working_folder);

// As slurm::submit(). Throws command::Refused when the queue did not take it; Error when it is not
// known whether it did: then the job, if there is one, finds that it was given up and runs nothing.
void submit_by_command(const SubmissionFolder& folder, Submission& submission,
                       const std::filesystem::path& working_folder, const Patience& patience);

// Throws Error with the queue's complaint.
void cancel_by_command(const Submission& submission, const Patience& patience);

// Where a task of such a submission runs; no variable of the queue is needed.
Allocated place_by_command(const SubmissionFolder& folder, const Submission& submission);

// "mem 32G * attempt, time 2 h * attempt; this is attempt 1": what grows in the profile, "" for
// nothing.
std::string growth_text(const Submission& submission);

}  // namespace tarflow::slurm
