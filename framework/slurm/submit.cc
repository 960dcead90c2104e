#include "framework/slurm/submit.h"

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
#include "framework/process/command.h"
#include "framework/process/host.h"
#include "framework/slurm/by_command.h"
#include "framework/slurm/script.h"

namespace tarflow::slurm {
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
  const auto last = [](const std::vector<std::string>& numbers) {
    return numbers.empty() ? std::nullopt : std::optional(numbers.back());
  };
  const process::Said queue =
      ask_slurm({"squeue", "--noheader", "--states=all", "--name=" + name, "--format=%F"}, patience,
                [](const process::Said& said) { return !is_away(said) && !says_away(said.err); });
  if (!queue.well()) {
    throw Error(
        fmt::format("squeue cannot tell whether {} is queued: {}", name, queue.complaint()));
  }
  if (const auto number = last(job_numbers(queue.out))) return number;
  // Long ended ones only accounting knows, where there is any.
  const process::Said account =
      patience.ask({"sacct", "--noheader", "--parsable2", "--allocations", "--starttime=now-30days",
                    "--name=" + name, "--format=JobID"});
  if (!account.well()) return std::nullopt;
  std::string ids = account.out;  // "123_4" a line, "123_[5-9]"
  for (size_t at = 0; (at = ids.find('_', at)) != std::string::npos;) {
    ids.erase(at, std::min(ids.find('\n', at), ids.size()) - at);
  }
  return last(job_numbers(ids));
}

// The same; where it is not found, once more after Patience::second_look.
std::optional<std::string> find_in_two_looks(const std::string& name, const Patience& patience) {
  if (const auto number = find_by_name(name, patience)) return number;
  patience.notice(fmt::format("Slurm shows no job {}; it is looked for again in {:.0f} s", name,
                              std::chrono::duration<double>(patience.second_look).count()));
  wait_for(patience.second_look, patience);
  return find_by_name(name, patience);
}

// The controller may have it although sbatch got no answer.
bool may_be_taken(const process::Said& said) {
  return is_away(said) && said.err.find("nable to contact") == std::string::npos &&
         said.err.find("onnection refused") == std::string::npos;
}

[[noreturn]] void throw_not_found(const SubmissionFolder& folder, const Submission& submission,
                                  const std::string& printed) {
  throw Error(
      fmt::format("sbatch took {}, but its job number is not known{}, and Slurm shows no job of "
                  "the name {}",
                  folder.script().string(), printed, submission.job_name),
      fmt::format("nothing more is submitted, lest a job runs twice. If `squeue --me --name={}` "
                  "shows it, run the same command again; if it is not queued and has not run, "
                  "remove the folder {}",
                  submission.job_name, folder.path.string()));
}

// Letters that a name of Slurm's may have everywhere.
std::string plain_name(const std::string& text) {
  std::string name;
  for (const char c : text.substr(0, 40)) {
    name += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ? c : '_';
  }
  return name;
}

// Why it cannot be written down; "": it is.
std::string note(const SubmissionFolder& folder, const Submission& submission) {
  try {
    write_submission(folder, submission);
    return "";
  } catch (const Error& failure) {
    return failure.problems().front().what;
  }
}

// Before Slurm has it: what is submitted can be found again by its name, whatever fails later.
void note_intention(const SubmissionFolder& folder, const Submission& submission,
                    const fs::path& working_folder) {
  try {
    write_file(folder.script(), sbatch_text(submission, folder, working_folder));
    write_submission(folder, submission);
  } catch (const Error& failure) {
    const Problem& problem = failure.problems().front();
    throw Error(problem.what + "; nothing of this array was given to Slurm", problem.repair);
  }
}

// What cannot be found again must not run beside a second submission of the same jobs.
[[noreturn]] void cancel_unnoted(const SubmissionFolder& folder, const Submission& submission,
                                 const std::string& reason, const Patience& patience) {
  const process::Said said = ask_slurm({"scancel", "--name=" + submission.job_name}, patience);
  throw Error(fmt::format("sbatch took {}, but its job number is not known, and it cannot be noted "
                          "that it was taken: {}; {}",
                          folder.script().string(), reason,
                          said.well() ? "it was cancelled by its name"
                                      : "scancel failed as well: " + said.complaint()),
              fmt::format("make room there; if `squeue --me --name={}` shows it, cancel it; then "
                          "run the same command again",
                          submission.job_name));
}

void note_number(const SubmissionFolder& folder, const Submission& submission) {
  const std::string unnoted = note(folder, submission);
  if (unnoted.empty()) return;
  throw Error(fmt::format("Slurm took the job array {}, but its number cannot be noted: {}",
                          submission.job_id, unnoted),
              fmt::format("its jobs run all the same. Make room there and run the same command "
                          "again: it finds the array by its name, {}",
                          submission.job_name));
}

}  // namespace

ClusterFacts cluster_facts(const Patience& patience) {
  const process::Said said = ask_slurm({"scontrol", "show", "config"}, patience);
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
                      short_hash(path.string() + process::boot_id()).substr(0, 6));
      return {path};
    }
    if (failed) {
      throw Error(fmt::format("cannot make the folder {}: {}", path.string(), failed.message()),
                  "make room on the disk, or see who may write there");
    }
  }
}

std::vector<std::string> job_numbers(const std::string& text) {
  std::vector<std::string> numbers;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos) continue;
    line = line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
    const size_t semicolon = line.find(';');
    const std::string number = line.substr(0, semicolon);
    const bool one_word = semicolon == std::string::npos ||
                          (semicolon + 1 < line.size() && line.find(' ') == std::string::npos);
    if (!is_number(number) || number.size() > 10 || number[0] == '0' || !one_word) continue;
    if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

void submit(const SubmissionFolder& folder, Submission& submission, const fs::path& working_folder,
            const Patience& patience) {
  if (submission.profile.by_command()) {
    return submit_by_command(folder, submission, working_folder, patience);
  }
  patience.beat();
  submission.submitted = process::utc_now();
  note_intention(folder, submission, working_folder);
  // It may have it although its answer was lost: so it is looked for before it is given again.
  std::optional<std::string> number;
  std::optional<process::Said> before;
  Patience giving = patience;
  giving.ask = [&](const std::vector<std::string>& command) {
    if (before) {
      number = may_be_taken(*before) ? find_in_two_looks(submission.job_name, patience)
                                     : find_by_name(submission.job_name, patience);
    }
    if (!number) before = patience.ask(command);
    return number ? process::Said{} : *before;
  };
  const process::Said said = ask_slurm({"sbatch", "--parsable", folder.script().string()}, giving);
  const std::vector<std::string> numbers = job_numbers(said.out);
  if (!number && said.well() && numbers.size() == 1) number = numbers.front();
  if (!number && said.well()) {
    submission.taken = true;
    const std::string unnoted = note(folder, submission);
    number = find_in_two_looks(submission.job_name, patience);
    if (!number && !unnoted.empty()) cancel_unnoted(folder, submission, unnoted, patience);
    if (!number) {
      throw_not_found(folder, submission,
                      fmt::format(" (sbatch printed `{}`)", said.out.substr(0, 200)));
    }
  }
  // A program around sbatch may fail after sbatch has done its work.
  if (!number && !numbers.empty()) number = find_by_name(submission.job_name, patience);
  if (!number) {
    submission.given_up = "sbatch refused it: " + said.complaint();
    const std::string unnoted = note(folder, submission);
    throw Error(fmt::format("sbatch refused {}: {}{}", folder.script().string(), said.complaint(),
                            unnoted.empty() ? "" : "; this cannot be noted: " + unnoted),
                fmt::format("correct the cluster profile `{}`; run_sweep check names its file and "
                            "what the cluster lacks; nothing of this array runs",
                            submission.profile.name));
  }
  submission.job_id = *number;
  note_number(folder, submission);
}

void recover(const SubmissionFolder& folder, Submission& submission, const Patience& patience) {
  if (submission.profile.by_command()) {
    // Nobody knows its id. If the queue has it, it runs nothing, or ends when its jobs are claimed.
    submission.given_up = "run_sweep was killed before it noted the job's id";
    write_submission(folder, submission);
    return;
  }
  if (const auto number = find_in_two_looks(submission.job_name, patience)) {
    submission.job_id = *number;
  } else if (submission.taken) {
    throw_not_found(folder, submission, "");
  } else {
    submission.given_up = "run_sweep was killed before Slurm had it";
  }
  // What was learnt holds all the same, and can be learnt again.
  const std::string unnoted = note(folder, submission);
  if (!unnoted.empty()) patience.notice(unnoted + "; the next run of this sweep asks Slurm again");
}

void cancel(const Submission& submission, const Patience& patience) {
  if (submission.job_id.empty()) return;
  if (submission.profile.by_command()) return cancel_by_command(submission, patience);
  const process::Said said = ask_slurm({"scancel", submission.job_id}, patience);
  // Whatever has ended meanwhile needs no cancelling.
  if (said.well() || said.err.find("Invalid job id") != std::string::npos) return;
  throw Error(fmt::format("scancel {}: {}", submission.job_id, said.complaint()));
}

void cancel_tasks(const Submission& submission, const std::set<size_t>& tasks,
                  const Patience& patience) {
  if (submission.profile.by_command()) {
    return tasks.empty() ? void() : cancel_by_command(submission, patience);
  }
  for (const size_t task : tasks) {
    const std::string name = fmt::format("{}_{}", submission.job_id, task);
    const process::Said said = ask_slurm({"scancel", name}, patience);
    if (said.well() || said.err.find("Invalid job id") != std::string::npos) continue;
    throw Error(fmt::format("scancel {}: {}", name, said.complaint()));
  }
}

}  // namespace tarflow::slurm
