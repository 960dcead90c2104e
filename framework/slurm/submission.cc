#include "framework/slurm/submission.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/aside.h"
#include "framework/core/json_keys.h"
#include "framework/slurm/whole_nodes.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;

Json to_json(const sweep::RunSettings& run) {
  return {{"gpus", run.gpus},           {"nodes", run.nodes},
          {"ranks", run.ranks},         {"jobs_per_gpu", run.jobs_per_gpu},
          {"workers", run.workers},     {"threads", run.threads},
          {"retries", run.retries},     {"backoff", run.backoff},
          {"fail_fast", run.fail_fast}, {"time_limit", run.time_limit},
          {"exclusive", run.exclusive}};
}

sweep::RunSettings run_settings_from_json(const Json& json) {
  sweep::RunSettings run;
  run.gpus = value_or(json, "gpus", run.gpus);
  run.nodes = value_or(json, "nodes", run.nodes);
  run.ranks = value_or(json, "ranks", run.ranks);
  run.jobs_per_gpu = value_or(json, "jobs_per_gpu", run.jobs_per_gpu);
  run.workers = value_or(json, "workers", run.workers);
  run.threads = value_or(json, "threads", run.threads);
  run.retries = value_or(json, "retries", run.retries);
  run.backoff = value_or(json, "backoff", run.backoff);
  run.fail_fast = value_or(json, "fail_fast", run.fail_fast);
  run.time_limit = value_or(json, "time_limit", run.time_limit);
  run.exclusive = value_or(json, "exclusive", run.exclusive);
  return run;
}

Json to_json(const Submission& submission) {
  return {{"name", submission.name},
          {"job_name", submission.job_name},
          {"job_id", submission.job_id},
          {"cluster", submission.cluster},
          {"submitted", submission.submitted},
          {"after", submission.after},
          {"behind", submission.behind},
          {"tasks", submission.tasks},
          {"timed", submission.timed},
          {"run", to_json(submission.run)},
          {"profile", to_json(submission.profile)},
          {"programs", submission.programs.string()},
          {"tries", submission.tries},
          {"reached", submission.reached},
          {"attempt", submission.attempt},
          {"avoided", submission.avoided},
          {"given_up", submission.given_up},
          {"taken", submission.taken},
          {"cancelled", submission.cancelled},
          {"cancelled_tasks", submission.cancelled_tasks},
          {"over", submission.over}};
}

Submission submission_from_json(const Json& json) {
  Submission submission;
  submission.name = value_or(json, "name", std::string());
  submission.job_id = value_or(json, "job_id", std::string());
  submission.job_name = submission.job_id.empty() ? required_value<std::string>(json, "job_name")
                                                  : value_or(json, "job_name", std::string());
  submission.cluster = value_or(json, "cluster", std::string());
  submission.submitted = value_or(json, "submitted", std::string());
  submission.after = value_or(json, "after", std::vector<std::string>());
  submission.behind = value_or(json, "behind", std::vector<std::string>());
  submission.tasks = required_value<std::vector<std::vector<std::string>>>(json, "tasks");
  submission.timed = value_or(json, "timed", std::set<std::string>());
  submission.run = run_settings_from_json(value_or(json, "run", Json::object()));
  submission.profile = profile_from_json(value_or(json, "profile", Json::object()));
  submission.programs = value_or(json, "programs", std::string());
  submission.tries = value_or(json, "tries", std::map<std::string, int64_t>());
  submission.reached = value_or(json, "reached", std::map<std::string, double>());
  submission.attempt = value_or(json, "attempt", submission.attempt);
  submission.avoided = value_or(json, "avoided", std::vector<std::string>());
  submission.given_up = value_or(json, "given_up", std::string());
  submission.taken = value_or(json, "taken", false);
  submission.cancelled = value_or(json, "cancelled", false);
  submission.cancelled_tasks = value_or(json, "cancelled_tasks", std::set<size_t>());
  submission.over = value_or(json, "over", false);
  return submission;
}

Submission read_submission(const SubmissionFolder& folder) {
  try {
    Submission submission = read_keys(folder.submission(), submission_from_json);
    if (submission.name.empty()) submission.name = folder.path.filename().string();
    return submission;
  } catch (const Error& failure) {
    throw Error(failure.problems().front().what,
                fmt::format("the queue may have its jobs, so nothing is submitted: make the file "
                            "readable, or, if none of its jobs is queued any more, remove the "
                            "folder {}; finished jobs are kept",
                            folder.path.string()));
  }
}

int64_t cpus_of(const Submission& submission) {
  const sweep::RunSettings& run = submission.run;
  const int64_t each = run.threads > 0 ? run.threads : submission.profile.cpus_per_task;
  return each * std::max<int64_t>(1, run.processes_per_node()) *
         jobs_at_once(submission.profile, run);
}

void write_submission(const SubmissionFolder& folder, const Submission& submission) {
  write_json_file(folder.submission(), to_json(submission));
}

std::vector<KnownSubmission> read_submissions(const fs::path& sweep_folder,
                                              std::vector<Problem>& problems) {
  std::vector<SubmissionFolder> folders;
  std::error_code failed;
  const fs::path all = slurm_folder(sweep_folder);
  for (fs::directory_iterator entry(all, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    // A folder without one: killed before anything was submitted.
    if (!is_absent(SubmissionFolder{entry->path()}.submission())) {
      folders.push_back({entry->path()});
    }
  }
  if (failed && !is_absent(all)) {
    problems.push_back({{},
                        fmt::format("cannot list {}: {}", all.string(), failed.message()),
                        "the queue may have jobs of this sweep, so nothing is submitted: make the "
                        "folder readable and run the same command again",
                        ""});
  }
  std::sort(folders.begin(), folders.end(),
            [](const SubmissionFolder& a, const SubmissionFolder& b) { return a.path < b.path; });
  std::vector<KnownSubmission> known;
  for (const SubmissionFolder& folder : folders) {
    try {
      known.push_back({folder, read_submission(folder)});
    } catch (const Error& failure) {
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  return known;
}

}  // namespace tarflow::slurm
