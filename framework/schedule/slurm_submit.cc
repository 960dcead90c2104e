#include "framework/schedule/slurm_submit.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <ctime>
#include <optional>
#include <sstream>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/hash.h"
#include "framework/schedule/command.h"
#include "framework/schedule/host.h"
#include "framework/schedule/slurm_script.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

std::string value_in(const std::string& config, const std::string& key) {
  std::istringstream lines(config);
  for (std::string text; std::getline(lines, text);) {
    std::istringstream words(text);
    std::string name, equals, value;
    if (words >> name >> equals >> value && name == key && equals == "=") return value;
  }
  return "";
}

bool is_number(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

// The number of the array with this name; nothing when Slurm has none.
std::optional<std::string> find_by_name(const std::string& name, const Patience& patience) {
  const Said queue = ask_slurm(
      {"squeue", "--noheader", "--states=all", "--name=" + name, "--format=%F"}, patience);
  if (!queue.well()) {
    throw Error(
        fmt::format("squeue cannot tell whether {} is queued: {}", name, queue.complaint()));
  }
  std::string number = queue.out.substr(0, queue.out.find('\n'));
  while (!number.empty() && number.back() == ' ') number.pop_back();
  if (is_number(number)) return number;
  // Long ended ones only accounting knows, where there is any.
  const Said account = run_command({"sacct", "--noheader", "--parsable2", "--allocations",
                                    "--starttime=now-30days", "--name=" + name, "--format=JobID"});
  if (!account.well()) return std::nullopt;
  number = account.out.substr(0, account.out.find_first_of("_\n|."));
  return is_number(number) ? std::optional(number) : std::nullopt;
}

// Letters that a name of Slurm's may have everywhere.
std::string plain_name(const std::string& text) {
  std::string name;
  for (const char c : text.substr(0, 40)) {
    name += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ? c : '_';
  }
  return name;
}

void note_number(const SubmissionFolder& folder, Submission& submission, std::string number) {
  submission.job_id = std::move(number);
  write_submission(folder, submission);
}

}  // namespace

ClusterFacts cluster_facts(const Patience& patience) {
  const Said said = ask_slurm({"scontrol", "show", "config"}, patience);
  if (!said.well()) throw Error(fmt::format("scontrol show config: {}", said.complaint()));
  ClusterFacts facts;
  facts.name = value_in(said.out, "ClusterName");
  const std::string most = value_in(said.out, "MaxArraySize");
  if (is_number(most) && most.size() < 10) facts.most_tasks = std::max<size_t>(std::stoul(most), 1);
  return facts;
}

SubmissionFolder new_submission(const fs::path& sweep_folder, Submission& submission) {
  const std::string stamp = fmt::format("{:%Y%m%d-%H%M%S}", fmt::gmtime(std::time(nullptr)));
  for (int counter = 0;; ++counter) {
    submission.name = fmt::format("{}-{:03}", stamp, counter);
    const fs::path path = slurm_folder(sweep_folder) / submission.name;
    std::error_code failed;
    fs::create_directories(path.parent_path(), failed);
    if (!failed && fs::create_directory(path, failed)) {
      // Folders of the same name, of other results or machines, have other hashes.
      submission.job_name =
          fmt::format("{}-{}-{}", plain_name(sweep_folder.filename().string()), submission.name,
                      short_hash(path.string() + boot_id()).substr(0, 6));
      return {path};
    }
    if (failed) {
      throw Error(fmt::format("cannot make the folder {}: {}", path.string(), failed.message()),
                  "make room on the disk, or see who may write there");
    }
  }
}

void submit(const SubmissionFolder& folder, Submission& submission, const fs::path& working_folder,
            const Patience& patience) {
  write_file(folder.script(), sbatch_text(submission, folder, working_folder));
  submission.submitted = utc_now();
  write_submission(folder, submission);
  // It may have it although its answer was lost: so it is looked for before it is given again.
  std::optional<std::string> number;
  bool again = false;
  const Ask give = [&](const std::vector<std::string>& command) {
    if (again) number = find_by_name(submission.job_name, patience);
    again = true;
    return number ? Said{} : run_command(command);
  };
  const Said said = ask_slurm({"sbatch", "--parsable", folder.script().string()}, patience, give);
  if (!said.well()) {
    submission.given_up = "sbatch refused it: " + said.complaint();
    write_submission(folder, submission);
    throw Error(fmt::format("sbatch refused {}: {}", folder.script().string(), said.complaint()),
                fmt::format("see the cluster profile `{}`; nothing of this array runs",
                            submission.profile.name));
  }
  if (!number) number = said.out.substr(0, said.out.find_first_of(";\n"));
  if (!is_number(*number)) {
    throw Error(fmt::format("sbatch printed `{}` instead of a number", said.out));
  }
  note_number(folder, submission, *number);
}

void recover(const SubmissionFolder& folder, Submission& submission, const Patience& patience) {
  if (const auto number = find_by_name(submission.job_name, patience)) {
    note_number(folder, submission, *number);
    return;
  }
  submission.given_up = "run_sweep was killed before Slurm had it";
  write_submission(folder, submission);
}

void cancel(const Submission& submission, const Patience& patience) {
  if (submission.job_id.empty()) return;
  const Said said = ask_slurm({"scancel", submission.job_id}, patience);
  // Whatever has ended meanwhile needs no cancelling.
  if (said.well() || said.err.find("Invalid job id") != std::string::npos) return;
  throw Error(fmt::format("scancel {}: {}", submission.job_id, said.complaint()));
}

void cancel_tasks(const Submission& submission, const std::set<size_t>& tasks,
                  const Patience& patience) {
  for (const size_t task : tasks) {
    const std::string name = fmt::format("{}_{}", submission.job_id, task);
    const Said said = ask_slurm({"scancel", name}, patience);
    if (said.well() || said.err.find("Invalid job id") != std::string::npos) continue;
    throw Error(fmt::format("scancel {}: {}", name, said.complaint()));
  }
}

}  // namespace tarflow::schedule
