#include "framework/slurm/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <sstream>

namespace tarflow::slurm {
namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

bool is_word(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isalnum(c) != 0; });
}

// Slurm has more than a hundred names; what they limit and for whom is in their parts.
Limit::Kind kind_of(const std::string& name) {
  const auto starts = [&](std::initializer_list<const char*> beginnings) {
    return std::any_of(beginnings.begin(), beginnings.end(),
                       [&](const char* beginning) { return name.starts_with(beginning); });
  };
  if (!is_word(name)) return Limit::Kind::kNone;
  if (!starts({"QOSMax", "QOSMin", "QOSGrp", "AssocMax", "AssocGrp", "Max"})) {
    return Limit::Kind::kNone;
  }
  if (has(name, "Submit")) return Limit::Kind::kQueue;
  if (has(name, "MaxJobs") || has(name, "Grp")) return Limit::Kind::kOthers;
  if (starts({"QOSMin", "MaxMemPerLimit"})) return Limit::Kind::kJob;
  if (has(name, "PerJob") || has(name, "PerNode")) return Limit::Kind::kJob;
  return has(name, "PerUser") ? Limit::Kind::kUser : Limit::Kind::kOthers;
}

std::string thing_of(const std::string& name) {
  if (has(name, "Minutes")) return "CPU time, GPU time or the like (their number times `time`)";
  if (has(name, "Wall")) return "time";
  if (has(name, "GRES")) return "GPUs";
  if (has(name, "Cpu") || has(name, "CPU")) return "CPUs";
  if (has(name, "Mem")) return "memory";
  if (has(name, "Node")) return "nodes";
  return "resources";
}

std::string keys_of(const std::string& name) {
  if (has(name, "Minutes")) return "less `time`, or fewer `gpus` and `threads`";
  if (has(name, "Wall")) return "less `time`";
  if (has(name, "GRES")) return "fewer `gpus` (run: in the sweep)";
  if (has(name, "Cpu") || has(name, "CPU")) {
    return "fewer CPUs (`cpus_per_task` in the cluster profile, `threads` and `ranks` of run: in "
           "the sweep)";
  }
  if (has(name, "Mem")) return "less `mem`, `mem_per_gpu` or `mem_per_cpu`";
  if (has(name, "Node")) return "fewer `nodes` (run: in the sweep)";
  return "less";
}

}  // namespace

Limit limit_of_reason(const std::string& reason) { return {kind_of(reason), reason}; }

Limit limit_of_refusal(const std::string& refusal) {
  constexpr std::string_view kError = "error: ";
  std::istringstream messages(refusal);
  for (std::string message; std::getline(messages, message, ';');) {
    std::istringstream lines(message);
    for (std::string line; std::getline(lines, line);) {
      const size_t at = line.rfind(kError);
      const std::string word = at == std::string::npos ? "" : line.substr(at + kError.size());
      if (const Limit limit = limit_of_reason(word); limit.kind != Limit::Kind::kNone) return limit;
    }
  }
  for (const char* words : {"Job submit limit", "slurm_submit_batch_job: Resource temporarily",
                            "Job violates accounting/QOS policy"}) {
    if (has(refusal, words)) return {Limit::Kind::kQueue, ""};
  }
  for (const char* words :
       {"Requested node configuration is not available", "Requested time limit is invalid",
        "More processors requested than permitted", "Memory specification can not be satisfied",
        "Node count specification invalid", "Memory required by task is not available"}) {
    if (has(refusal, words)) return {Limit::Kind::kJob, words};
  }
  return {};
}

std::string too_large_text(const Limit& limit) {
  if (!is_word(limit.name)) {
    return fmt::format("no node of its partition can give it what it asks for ({})", limit.name);
  }
  if (limit.name.starts_with("QOSMin")) {
    return fmt::format("it asks for less than its QOS wants of a job ({})", limit.name);
  }
  const char* whose = limit.name.starts_with("QOS")     ? "its QOS allows"
                      : limit.name.starts_with("Assoc") ? "its account allows"
                                                        : "Slurm allows";
  const char* whom = limit.kind == Limit::Kind::kUser ? "all running jobs of a user" : "one job";
  return fmt::format("it asks for more {} than {} {} ({})", thing_of(limit.name), whose, whom,
                     limit.name);
}

std::string too_large_repair(const Limit& limit) {
  if (!is_word(limit.name)) {
    return "fewer `gpus`, `nodes` or `threads`, less `mem` or `time`, or another `partition`; "
           "`sinfo -o \"%P %G %c %m %l\"` shows what nodes have";
  }
  if (limit.name.starts_with("QOSMin")) return "choose another `qos` in the cluster profile";
  return fmt::format("ask for {}, or choose another `qos` or `account` in the cluster profile",
                     keys_of(limit.name));
}

std::string never_starts_text(const Limit& limit) {
  return fmt::format("{}, so it can never start: {}", too_large_text(limit),
                     too_large_repair(limit));
}

}  // namespace tarflow::slurm
