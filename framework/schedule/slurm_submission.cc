#include "framework/schedule/slurm_submission.h"

#include <fmt/format.h>

#include <algorithm>

namespace tarflow::schedule {
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
  run.gpus = json.at("gpus").get<int64_t>();
  run.nodes = json.value("nodes", int64_t{1});
  run.ranks = json.value("ranks", int64_t{1});
  run.jobs_per_gpu = json.at("jobs_per_gpu").get<int64_t>();
  run.workers = json.at("workers").get<int64_t>();
  run.threads = json.at("threads").get<int64_t>();
  run.retries = json.at("retries").get<int64_t>();
  run.backoff = json.at("backoff").get<double>();
  run.fail_fast = json.at("fail_fast").get<bool>();
  run.time_limit = json.at("time_limit").get<double>();
  run.exclusive = json.at("exclusive").get<bool>();
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
          {"given_up", submission.given_up},
          {"taken", submission.taken},
          {"cancelled", submission.cancelled},
          {"over", submission.over}};
}

Submission submission_from_json(const Json& json) {
  Submission submission;
  try {
    submission.name = json.at("name").get<std::string>();
    submission.job_name = json.at("job_name").get<std::string>();
    submission.job_id = json.at("job_id").get<std::string>();
    submission.cluster = json.at("cluster").get<std::string>();
    submission.submitted = json.at("submitted").get<std::string>();
    submission.after = json.at("after").get<std::vector<std::string>>();
    submission.behind = json.value("behind", std::vector<std::string>());
    submission.tasks = json.at("tasks").get<std::vector<std::vector<std::string>>>();
    submission.timed = json.at("timed").get<std::set<std::string>>();
    submission.run = run_settings_from_json(json.at("run"));
    submission.profile = profile_from_json(json.at("profile"));
    submission.programs = json.at("programs").get<std::string>();
    submission.given_up = json.at("given_up").get<std::string>();
    submission.taken = json.value("taken", false);
    submission.cancelled = json.value("cancelled", false);
    submission.over = json.value("over", false);
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("not a submission: {}", failure.what()));
  }
  return submission;
}

Submission read_submission(const SubmissionFolder& folder) {
  try {
    return submission_from_json(read_json_file(folder.submission()));
  } catch (const Error& failure) {
    throw Error(
        fmt::format("{}: {}", folder.submission().string(), failure.problems().front().what),
        "if no job of it is queued any more, remove its folder; finished jobs are kept");
  }
}

void write_submission(const SubmissionFolder& folder, const Submission& submission) {
  write_json_file(folder.submission(), to_json(submission));
}

std::vector<KnownSubmission> read_submissions(const fs::path& sweep_folder,
                                              std::vector<Problem>& problems) {
  std::vector<SubmissionFolder> folders;
  std::error_code failed;
  for (fs::directory_iterator entry(slurm_folder(sweep_folder), failed), end;
       !failed && entry != end; entry.increment(failed)) {
    std::error_code ignored;  // a folder without one: killed before anything was submitted
    if (fs::exists(SubmissionFolder{entry->path()}.submission(), ignored)) {
      folders.push_back({entry->path()});
    }
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

}  // namespace tarflow::schedule
