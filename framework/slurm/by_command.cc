#include "framework/slurm/by_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/job/progress.h"
#include "framework/process/host.h"
#include "framework/slurm/events.h"
#include "framework/slurm/profile_amounts.h"
#include "framework/slurm/script.h"
#include "framework/slurm/whole_nodes.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

constexpr double kMegabytesOfAGigabyte = 1024;

// Of an allocation, megabytes; 0: the profile states none.
double memory_of(const Submission& submission) {
  const ClusterProfile& profile = submission.profile;
  const auto of = [&](const std::string& text, double times) {
    const double factor = profile.mem_grows ? static_cast<double>(submission.attempt) : 1.0;
    return megabytes_of(text).value_or(0) * times * factor;
  };
  const sweep::RunSettings& run = submission.run;
  const auto cpus = static_cast<double>(std::max<int64_t>(1, cpus_of(submission)));
  return of(profile.mem, 1) +
         of(profile.mem_per_gpu,
            static_cast<double>(std::max<int64_t>(1, gpus_of_node(profile, run)))) +
         of(profile.mem_per_cpu, cpus);
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::ceil(seconds));
  return fmt::format("{:02}:{:02}:{:02}", whole / 3600, whole % 3600 / 60, whole % 60);
}

}  // namespace

std::string growth_text(const Submission& submission) {
  const ClusterProfile& profile = submission.profile;
  std::vector<std::string> grows;
  if (profile.mem_grows) {
    for (const auto& [name, value] :
         {std::pair("mem", profile.mem), std::pair("mem_per_gpu", profile.mem_per_gpu),
          std::pair("mem_per_cpu", profile.mem_per_cpu)}) {
      if (!value.empty()) grows.push_back(fmt::format("{}: {} * attempt", name, value));
    }
  }
  if (profile.time_grows) {
    grows.push_back(fmt::format("time: {} * attempt", job::duration(profile.time)));
  }
  return grows.empty()
             ? ""
             : fmt::format("{}; this is attempt {}", fmt::join(grows, ", "), submission.attempt);
}

command::Fields submit_fields(const Submission& submission, const SubmissionFolder& folder) {
  const sweep::RunSettings& run = submission.run;
  if (run.nodes > 1) {
    throw Error(fmt::format("a job asks for {} nodes, but `executor: command` runs each job on one "
                            "node: only Slurm's srun starts ranks on several",
                            run.nodes),
                "state `nodes: 1` under `run:`, or use `executor: slurm`");
  }
  const double seconds = allocation_seconds(submission), memory = memory_of(submission);
  const auto number = [](auto value) { return fmt::format("{}", value); };
  command::Fields fields;
  fields.words = {{"script", folder.job_script().string()},
                  {"name", submission.job_name},
                  {"log", folder.output(0).string()},
                  {"folder", folder.path.string()},
                  {"cpus", number(cpus_of(submission))},
                  {"gpus", number(gpus_of_node(submission.profile, run))},
                  {"ranks", number(run.processes() * jobs_at_once(submission.profile, run))},
                  {"attempt", number(submission.attempt)}};
  if (memory > 0) {
    fields.words["mem"] = fmt::format("{:.0f}M", memory);
    fields.words["mem_mb"] = fmt::format("{:.0f}", memory);
    fields.words["mem_gb"] = fmt::format("{:.0f}", std::ceil(memory / kMegabytesOfAGigabyte));
  }
  if (seconds > 0) {
    fields.words["seconds"] = fmt::format("{:.0f}", std::ceil(seconds));
    fields.words["minutes"] = fmt::format("{:.0f}", std::ceil(seconds / 60));
    fields.words["time"] = clock_text(seconds);
  }
  return fields;
}

std::string job_script_text(const Submission& submission, const SubmissionFolder& folder,
                            const fs::path& working_folder) {
  const ClusterProfile& profile = submission.profile;
  std::string text = fmt::format(
      "#!/bin/sh\n# Written by run_sweep; submission.json says which jobs it runs, as the cluster "
      "profile `{}` has it.\n",
      profile.name);
  if (const std::string growth = growth_text(submission); !growth.empty()) {
    text += fmt::format("# {}.\n", growth);
  }
  if (const std::string at_once = at_once_text(profile, submission.run); !at_once.empty()) {
    text += fmt::format("# {}.\n", at_once);
  }
  // A queue has its own place for what a job prints, unless `submit` states it.
  if (!command::has_field(profile.templates.submit, "log")) {
    text += fmt::format("exec >> {} 2>&1\n", shell_word(folder.output(0).string()));
  }
  text += fmt::format("cd {} || exit 1\n", shell_word(working_folder.string()));
  for (const std::string& setup : profile.setup) text += setup + "\n";
  return text + fmt::format(
                    "# In the shell's place, so that signals reach it.\n"
                    "exec {}{} --cluster-task {}\n",
                    profile.prefix.empty() ? "" : profile.prefix + " ",
                    shell_word((submission.programs / "run_sweep").string()),
                    shell_word(folder.path.string()));
}

std::string submit_preview(const Submission& submission, const SubmissionFolder& folder,
                           const fs::path& working_folder) {
  return fmt::format(
      "{}\n{}:\n{}",
      command::filled(submission.profile.templates.submit, submit_fields(submission, folder)),
      folder.job_script().string(), job_script_text(submission, folder, working_folder));
}

void submit_by_command(const SubmissionFolder& folder, Submission& submission,
                       const fs::path& working_folder, const Patience& patience) {
  const command::Fields fields = submit_fields(submission, folder);
  write_file(folder.job_script(), job_script_text(submission, folder, working_folder));
  fs::permissions(folder.job_script(), fs::perms::owner_exec, fs::perm_options::add);
  submission.submitted = process::utc_now();
  write_submission(folder, submission);
  try {
    submission.job_id = command::submit(submission.profile.templates, fields, patience.ask);
  } catch (const Error& failure) {
    submission.given_up = failure.problems().front().what;
    try {
      write_submission(folder, submission);
    } catch (const Error&) {  // a full disk; what the queue said matters more
    }
    throw;
  }
  try {
    write_submission(folder, submission);
  } catch (const Error& failure) {  // nobody would find it again
    const std::string refusal =
        command::cancel(submission.profile.templates, submission.job_id, patience.ask);
    throw Error(fmt::format("job {} was submitted, but its id cannot be noted: {}; it {}",
                            submission.job_id, failure.problems().front().what,
                            refusal.empty() ? "was cancelled" : "was not cancelled: " + refusal),
                "make room on the disk, and run the same command again");
  }
}

void cancel_by_command(const Submission& submission, const Patience& patience) {
  const std::string complaint =
      command::cancel(submission.profile.templates, submission.job_id, patience.ask);
  if (complaint.empty()) return;
  throw Error(fmt::format("the queue did not cancel job {}: {}", submission.job_id, complaint),
              "a job that has not begun runs nothing when it begins; end one that runs by hand");
}

Allocated place_by_command(const SubmissionFolder& folder, const Submission& submission) {
  Allocated place;
  place.array = submission.job_id;
  place.node = process::host_name();
  place.cpus = submission.profile.cpus_per_task;
  // A queue may start a job again after its node failed.
  for (const TaskEvent& event : read_events(folder, 0)) place.restart += event.what == "start";
  return place;
}

}  // namespace tarflow::slurm
