#include "framework/slurm/script.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "framework/core/error.h"
#include "framework/slurm/by_command.h"
#include "framework/slurm/profile_amounts.h"
#include "framework/slurm/whole_nodes.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPlain =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=,:@%+-[]&|*()";

void require_one_line(const std::string& text) {
  if (text.find_first_of("\n\r") == std::string::npos && text.find('\0') == std::string::npos)
    return;
  throw Error(fmt::format("`{}` has a line break, which queues do not take in names of files and "
                          "folders",
                          text),
              "rename the folder");
}

// For options in which Slurm replaces %a and the like, but not where there is a backslash.
std::string without_patterns(const std::string& path) {
  if (path.find('\\') != std::string::npos) {
    throw Error(fmt::format("Slurm cannot write its output to {}, because of the backslash", path),
                "choose another folder with --results");
  }
  std::string text;
  for (const char c : path) text += c == '%' ? std::string("%%") : std::string(1, c);
  return text;
}

// The lines of the file: options with what they are for.
class Lines {
 public:
  void comment(const std::string& text) { text_ += "# " + text + "\n"; }
  void blank() { text_ += "\n"; }
  void plain(const std::string& text) { text_ += text + "\n"; }
  void option(const std::string& text) { option(text, text); }
  void option(const char* name, const std::string& value) {
    if (value.empty()) return;
    option(fmt::format("--{}={}", name, sbatch_word(value)), fmt::format("--{}={}", name, value));
  }
  const std::string& text() const { return text_; }
  const std::vector<std::string>& options() const { return options_; }

 private:
  void option(const std::string& line, const std::string& argument) {
    text_ += "#SBATCH " + line + "\n";
    options_.push_back(argument);
  }

  std::string text_;
  std::vector<std::string> options_;  // as arguments, which need no quotes
};

std::string gpu_option(const ClusterProfile& profile, const sweep::RunSettings& run) {
  const int64_t gpus = gpus_of_node(profile, run);
  const std::string type = profile.gpu_type.empty() ? "" : profile.gpu_type + ":";
  switch (profile.gpu_request) {
    case GpuRequest::kGres:
      return fmt::format("--gres={}", sbatch_word(fmt::format("gpu:{}{}", type, gpus)));
    case GpuRequest::kGpus:
      return fmt::format("--gpus={}", sbatch_word(fmt::format("{}{}", type, gpus * run.nodes)));
    case GpuRequest::kGpusPerNode:
      return fmt::format("--gpus-per-node={}", sbatch_word(fmt::format("{}{}", type, gpus)));
    case GpuRequest::kNone:
      break;
  }
  return "";
}

void add_place(Lines& lines, const ClusterProfile& profile) {
  lines.option("partition", profile.partition);
  lines.option("account", profile.account);
  lines.option("qos", profile.qos);
  lines.option("constraint", profile.constraint);
  lines.option("exclude", profile.exclude);
}

void add_needs(Lines& lines, const Submission& submission) {
  const ClusterProfile& profile = submission.profile;
  const sweep::RunSettings& run = submission.run;
  if (const std::string growth = growth_text(submission); !growth.empty()) {
    lines.comment("From the profile: " + growth + ".");
  }
  lines.comment("What a task gets; each GPU, or each rank on CPUs, is a task of Slurm's.");
  lines.option(fmt::format("--nodes={}", run.nodes));
  const int64_t at_once = jobs_at_once(profile, run);
  if (at_once > 1) {
    lines.comment(at_once_text(profile, run) + ", whose CPUs and memory they share.");
  }
  lines.option(fmt::format("--ntasks-per-node={}", at_once * run.processes_per_node()));
  const int64_t cpus = run.threads > 0 ? run.threads : profile.cpus_per_task;
  if (cpus > 0) lines.option(fmt::format("--cpus-per-task={}", cpus));
  if (run.gpus > 0 && profile.gpu_request != GpuRequest::kNone) {
    lines.option(gpu_option(profile, run));
  }
  const auto memory = [&](const std::string& text) {
    return memory_text(text, profile, submission.attempt);
  };
  lines.option("mem", memory(profile.mem));
  if (run.gpus > 0) lines.option("mem-per-gpu", memory(profile.mem_per_gpu));
  lines.option("mem-per-cpu", memory(profile.mem_per_cpu));
}

void add_end(Lines& lines, const Submission& submission) {
  const ClusterProfile& profile = submission.profile;
  const double time = allocation_seconds(submission);
  if (time > 0) lines.option("--time=" + slurm_time_text(time));
  if (profile.signal_lead > 0) {
    const double lead = time > 0 ? std::min(profile.signal_lead, time / 4) : profile.signal_lead;
    lines.comment("Told ahead of the end, a task keeps what it has reached and queues again.");
    lines.option(fmt::format("--signal=B:USR2@{:.0f}", std::max(1.0, std::ceil(lead))));
  }
  lines.option(profile.requeue ? "--requeue" : "--no-requeue");
}

void add_dependencies(Lines& lines, const Submission& submission) {
  std::vector<std::string> dependencies;
  if (!submission.after.empty()) {
    lines.comment("afterok: these write files that the jobs here read.");
    dependencies.push_back(fmt::format("afterok:{}", fmt::join(submission.after, ":")));
  }
  if (!submission.behind.empty()) {
    lines.comment("afterany: only one after the other they keep to max_parallel.");
    dependencies.push_back(fmt::format("afterany:{}", fmt::join(submission.behind, ":")));
  }
  if (dependencies.empty()) return;
  lines.option(fmt::format("--dependency={}", fmt::join(dependencies, ",")));
  if (!submission.after.empty()) lines.option("--kill-on-invalid-dep=yes");
}

std::string array_text(const Submission& submission) {
  const int64_t limit = submission.profile.max_parallel;
  return fmt::format("--array=0-{}{}", submission.tasks.size() - 1,
                     limit > 0 ? fmt::format("%{}", limit) : "");
}

}  // namespace

std::vector<std::string> resource_options(const Submission& submission) {
  Lines lines;
  add_place(lines, submission.profile);
  add_needs(lines, submission);
  add_end(lines, submission);
  for (const std::string& extra : submission.profile.extra) lines.option(extra);
  return lines.options();
}

std::string shell_word(const std::string& text) {
  require_one_line(text);
  const bool plain = !text.empty() && text.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_./=,:@%+-") == std::string::npos;
  if (plain) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string sbatch_word(const std::string& text) {
  require_one_line(text);
  if (text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string word = "\"";  // sbatch has its own rules: a space is not escaped by a backslash
  for (const char c : text) {
    if (c == '"' || c == '\\') word += '\\';
    word += c;
  }
  return word + "\"";
}

std::string slurm_time_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::ceil(seconds));
  return fmt::format("{}{:02}:{:02}:{:02}", whole >= 86400 ? fmt::format("{}-", whole / 86400) : "",
                     whole % 86400 / 3600, whole % 3600 / 60, whole % 60);
}

double allocation_seconds(const Submission& submission) {
  const double limit = submission.run.time_limit;
  const double times = submission.profile.time_grows ? static_cast<double>(submission.attempt) : 1;
  if (limit <= 0) return submission.profile.time * times;
  size_t jobs = 1;
  for (const auto& task : submission.tasks) jobs = std::max(jobs, task.size());
  const auto at_once = static_cast<size_t>(jobs_at_once(submission.profile, submission.run));
  const size_t rounds = rounds_of(jobs, at_once);
  // Room to start, and to be told in time; Slurm counts minutes.
  const double seconds = limit * static_cast<double>(rounds) + submission.profile.signal_lead + 60;
  return std::ceil(seconds / 60) * 60;
}

std::string sbatch_text(const Submission& submission, const SubmissionFolder& folder,
                        const fs::path& working_folder) {
  Lines lines;
  size_t jobs = 0;
  for (const auto& task : submission.tasks) jobs += task.size();
  lines.plain("#!/bin/bash");
  lines.comment(
      fmt::format("Written by run_sweep; submission.json says which jobs each task runs."));
  lines.comment(fmt::format("{} job{} in {} task{}, as the cluster profile `{}` has it.", jobs,
                            jobs == 1 ? "" : "s", submission.tasks.size(),
                            submission.tasks.size() == 1 ? "" : "s", submission.profile.name));
  lines.option("job-name", submission.job_name);
  lines.option(array_text(submission));
  lines.option("chdir", working_folder.string());
  lines.option("output", without_patterns((folder.path / "task-").string()) + "%a.out");
  lines.comment("A task that is started again goes on in the same file.");
  lines.option("--open-mode=append");
  lines.comment("The environment of whoever submits, whatever the cluster's default.");
  lines.option("--export=ALL");
  lines.blank();
  add_place(lines, submission.profile);
  add_needs(lines, submission);
  add_end(lines, submission);
  add_dependencies(lines, submission);
  if (!submission.profile.extra.empty()) lines.comment("From the profile's `extra`.");
  for (const std::string& extra : submission.profile.extra) lines.option(extra);
  lines.blank();
  for (const std::string& setup : submission.profile.setup) lines.plain(setup);
  lines.comment("In the shell's place, so that signals reach it.");
  lines.plain(fmt::format("exec {}{} --cluster-task {}",
                          submission.profile.prefix.empty() ? "" : submission.profile.prefix + " ",
                          shell_word((submission.programs / "run_sweep").string()),
                          shell_word(folder.path.string())));
  return lines.text();
}

}  // namespace tarflow::slurm
