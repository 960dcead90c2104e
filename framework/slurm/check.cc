#include "framework/slurm/check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/slurm/cluster_profile_file.h"
#include "framework/slurm/script.h"
#include "framework/slurm/whole_nodes.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

using Kind = Finding::Kind;

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

// Nodes of one kind in one partition.
struct Nodes {
  std::string partition, gres;
  bool standard = false;  // the partition of jobs that name none
  bool up = false;
  std::optional<double> time;  // seconds; nothing: no limit
  int64_t cpus = 0, nodes = 0;
};

int64_t number_of(const std::string& text) {  // "64" and "64+"
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Of `sinfo --format="%P|%a|%l|%G|%c|%D"`; lines of a banner are passed over.
std::vector<Nodes> nodes_in(const std::string& text) {
  std::vector<Nodes> all;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> words = split(line, '|');
    if (words.size() != 6 || words[0].empty()) continue;
    Nodes nodes;
    nodes.partition = words[0];
    nodes.standard = nodes.partition.ends_with('*');
    if (nodes.standard) nodes.partition.pop_back();
    nodes.up = words[1] == "up";
    nodes.time = slurm_time(words[2]);
    nodes.gres = words[3];
    nodes.cpus = number_of(words[4]);
    nodes.nodes = number_of(words[5]);
    all.push_back(std::move(nodes));
  }
  return all;
}

// GPUs of a node in "gpu:a100:4(S:0-1),lustre:1", of one type where one is wanted.
int64_t gpus_in(const std::string& gres, const std::string& type) {
  int64_t count = 0;
  int depth = 0;
  std::string plain;  // without what stands in brackets
  for (const char c : gres) {
    depth += c == '(';
    if (depth == 0) plain += c;
    depth -= c == ')';
  }
  for (const std::string& one : split(plain, ',')) {
    const std::vector<std::string> words = split(one, ':');
    if (words.front() != "gpu") continue;
    const bool typed = words.size() > 2;
    if (!type.empty() && (!typed || words[1] != type)) continue;
    count += words.size() > 1 ? number_of(words.back()) : 1;
  }
  return count;
}

std::string names_of(const std::vector<Nodes>& all) {
  std::set<std::string> names;
  for (const Nodes& nodes : all) names.insert(nodes.partition);
  return fmt::format("{}", fmt::join(names, ", "));
}

// The nodes of one of the partitions that the profile names, "a,b" meaning either.
void check_partition(const ClusterProfile& profile, const std::string& name,
                     const std::vector<Nodes>& own, std::vector<Finding>& found) {
  const bool up = std::any_of(own.begin(), own.end(), [](const Nodes& n) { return n.up; });
  int64_t nodes = 0, cpus = 0, gpus = 0;
  std::set<std::string> gres;
  for (const Nodes& one : own) {
    nodes += one.nodes;
    cpus = std::max(cpus, one.cpus);
    gpus = std::max(gpus, gpus_in(one.gres, profile.gpu_type));
    gres.insert(one.gres);
  }
  const std::optional<double> limit = own.front().time;
  found.push_back({up ? Kind::kGood : Kind::kBad,
                   fmt::format("partition {}: {}, {} nodes, jobs of {}", name, up ? "up" : "down",
                               nodes, limit ? "at most " + slurm_time_text(*limit) : "any time"),
                   "see `sinfo`, or name another partition"});
  if (profile.gpu_request != GpuRequest::kNone) {
    const std::string type = profile.gpu_type.empty() ? "" : " of type " + profile.gpu_type;
    found.push_back({gpus > 0 ? Kind::kGood : Kind::kBad,
                     gpus > 0 ? fmt::format("GPUs{}: {} a node", type, gpus)
                              : fmt::format("GPUs{}: none in partition {}, which has {}", type,
                                            name, fmt::join(gres, ", ")),
                     "correct `gpu_type` or `partition`; where GPUs come without being asked for, "
                     "`gpu_request: none`"});
  }
  // Where GPUs come without being asked for, Slurm need not know them.
  if (gpus > 0 && profile.node_gpus > 0) {
    found.push_back({profile.node_gpus == gpus  ? Kind::kGood
                     : profile.node_gpus < gpus ? Kind::kUnknown
                                                : Kind::kBad,
                     fmt::format("node_gpus {}: nodes have {}{}", profile.node_gpus, gpus,
                                 profile.node_gpus < gpus ? "; jobs do not use the others" : ""),
                     fmt::format("node_gpus: {}", gpus)});
  }
  if (profile.cpus_per_task > 0) {
    const int64_t tasks = std::max<int64_t>(1, profile.node_gpus);  // of a node
    found.push_back({profile.cpus_per_task * tasks <= cpus ? Kind::kGood : Kind::kBad,
                     fmt::format("cpus_per_task {}{}: nodes have {}", profile.cpus_per_task,
                                 tasks > 1 ? fmt::format(" for each of {} GPUs", tasks) : "", cpus),
                     fmt::format("at most {}", cpus / tasks)});
  }
  if (profile.time > 0) {
    const bool fits = !limit || profile.time <= *limit;
    found.push_back({fits ? Kind::kGood : Kind::kBad,
                     fmt::format("time {}: the partition allows {}", slurm_time_text(profile.time),
                                 limit ? slurm_time_text(*limit) : "any"),
                     limit ? fmt::format("time: {}", slurm_time_text(*limit)) : ""});
  }
}

// `sacctmgr` shows the accounts of the user, "account|partition|qos" a line.
Finding check_account(const ClusterProfile& profile, const std::string& user,
                      const Patience& patience) {
  if (profile.account.empty()) return {Kind::kGood, "account: none stated", ""};
  process::Said said;
  try {
    said = ask_slurm({"sacctmgr", "--noheader", "--parsable2", "show", "assoc", "user=" + user,
                      "format=account,partition,qos"},
                     patience);
  } catch (const Error&) {
    said.status = 1;
  }
  std::set<std::string> accounts;
  for (const std::string& line : split(said.out, '\n')) {
    if (line.find('|') != std::string::npos) accounts.insert(line.substr(0, line.find('|')));
  }
  if (!said.well() || accounts.empty()) {
    return {Kind::kUnknown,
            fmt::format("account {}: not known, since sacctmgr shows no accounts of {}",
                        profile.account, user),
            ""};
  }
  if (accounts.contains(profile.account))
    return {Kind::kGood, fmt::format("account {}: yours", profile.account), ""};
  return {Kind::kBad, fmt::format("account {}: not one of {}", profile.account, user),
          fmt::format("yours: {}", fmt::join(accounts, ", "))};
}

// The name of a file system that only this machine sees; "" for one that others may see.
std::string local_file_system(const fs::path& folder) {
  struct statfs status {};
  if (::statfs(folder.c_str(), &status) != 0) return "";
  switch (static_cast<uint32_t>(status.f_type)) {
    case 0x01021994:
      return "tmpfs, this machine's memory";
    case 0xEF53:
      return "ext4, a disk";
    case 0x58465342:
      return "xfs, a disk";
    case 0x9123683E:
      return "btrfs, a disk";
    case 0x794c7630:
      return "overlay, a container's";
    default:
      return "";
  }
}

}  // namespace

std::vector<Finding> check_profile(const ClusterProfile& profile, const std::string& user,
                                   const Patience& patience) {
  const process::Said said =
      ask_slurm({"sinfo", "--all", "--noheader", "--format=%P|%a|%l|%G|%c|%D"}, patience);
  if (!said.well())
    throw Error(fmt::format("sinfo does not tell what the cluster has: {}", said.complaint()));
  const std::vector<Nodes> all = nodes_in(said.out);
  std::vector<Finding> found;
  std::vector<std::string> wanted;
  if (!profile.partition.empty()) wanted = split(profile.partition, ',');
  for (const Nodes& nodes : all) {
    if (profile.partition.empty() && nodes.standard && wanted.empty())
      wanted.push_back(nodes.partition);
  }
  if (wanted.empty()) {
    found.push_back({Kind::kBad, "partition: none stated, and the cluster has no default",
                     fmt::format("state one of {}", names_of(all))});
  }
  for (const std::string& name : wanted) {
    std::vector<Nodes> own;
    for (const Nodes& nodes : all)
      if (nodes.partition == name) own.push_back(nodes);
    if (!own.empty()) {
      check_partition(profile, name, own, found);
      continue;
    }
    found.push_back({Kind::kBad,
                     fmt::format("partition {}: the cluster has none of that name", name),
                     fmt::format("it has {}", names_of(all))});
  }
  found.push_back(check_account(profile, user, patience));
  if (!profile.on_cpus() && profile.device.empty()) {
    found.push_back(
        {Kind::kUnknown,
         "device: not stated, so it is not known which GPU jobs get: plans cannot tell "
         "times, and times of different GPUs are taken for one another's",
         "state `device: ...`, the model as `nvidia-smi -L` names it on a node, such as NVIDIA "
         "A100-SXM4-80GB"});
  }
  return found;
}

Finding test_submission(const ClusterProfile& profile, const Patience& patience) {
  Submission submission;
  submission.profile = profile;
  submission.run.gpus = 1;
  std::vector<std::string> command = {"sbatch", "--test-only"};
  for (const std::string& option : resource_options(submission)) command.push_back(option);
  command.insert(command.end(), {"--job-name=tarflow-check", "--wrap=true"});
  const process::Said said = ask_slurm(command, patience);
  std::string answer = said.complaint();
  if (said.well()) {
    const size_t at = said.err.find("to start at");
    const std::string at_once = at_once_text(profile, submission.run);
    return {Kind::kGood,
            fmt::format("sbatch: takes such a job{}{}",
                        at_once.empty() ? "" : fmt::format(" ({})", at_once),
                        at == std::string::npos
                            ? ""
                            : ", " + said.err.substr(at, said.err.find('\n', at) - at)),
            ""};
  }
  return {Kind::kBad, fmt::format("sbatch: refuses a job as the profile asks for it: {}", answer),
          "docs/clusters.md, under Troubleshooting, says what sbatch means"};
}

std::vector<Finding> check_shared_folder(const fs::path& results) {
  const fs::path folder = fs::absolute(results);
  const fs::path file = folder / fmt::format(".check-{}", ::getpid());
  std::vector<Finding> found;
  try {
    write_file(file, "written by run_sweep check\n");
    const bool same = read_file(file) == "written by run_sweep check\n";
    fs::remove(file);
    if (!same) throw Error(fmt::format("{} reads other than it was written", file.string()));
    found.push_back(
        {Kind::kGood, fmt::format("results: can be written in {}", folder.string()), ""});
  } catch (const std::exception& failure) {
    found.push_back({Kind::kBad, fmt::format("results: {}", failure.what()),
                     "choose a folder that you may write to: --results FOLDER"});
    return found;
  }
  if (const std::string kind = local_file_system(folder); !kind.empty()) {
    found.push_back(
        {Kind::kUnknown,
         fmt::format("results: {} is on {}; nodes see it only if it is exported to them",
                     folder.string(), kind),
         ""});
  }
  return found;
}

std::string findings_text(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    const char* mark = finding.kind == Kind::kGood  ? "ok   "
                       : finding.kind == Kind::kBad ? "WRONG"
                                                    : "?    ";
    text += fmt::format("{}  {}\n", mark, finding.text);
    if (finding.kind != Kind::kGood && !finding.repair.empty())
      text += fmt::format("       {}\n", finding.repair);
  }
  return text;
}

bool any_bad(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.kind == Kind::kBad; });
}

}  // namespace tarflow::slurm
