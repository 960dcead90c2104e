#include "framework/slurm/cluster_profile_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <set>

#include "framework/core/error.h"
#include "framework/slurm/command_profile.h"
#include "framework/slurm/profile_amounts.h"
#include "framework/slurm/whole_nodes.h"
#include "framework/sweep/report.h"
#include "framework/sweep/run_parse.h"
#include "framework/sweep/scalars.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

using sweep::Node;
using sweep::NodeKind;
using sweep::Report;

constexpr double kLongest = 366 * 86400.0;
constexpr int64_t kMany = 1'000'000;
constexpr int64_t kMostPacked = 100;  // jobs of a task, where the expected time alone limits them

}  // namespace

std::optional<double> slurm_time(std::string text) {
  double days = 0;
  const size_t dash = text.find('-');
  const auto number = [](const std::string& digits) -> std::optional<double> {
    double value = 0;
    const char* end = digits.data() + digits.size();
    const bool plain =
        !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos;
    if (!plain || std::from_chars(digits.data(), end, value).ec != std::errc()) return std::nullopt;
    return value;
  };
  if (dash != std::string::npos) {
    const auto count = number(text.substr(0, dash));
    if (!count) return std::nullopt;
    days = *count;
    text.erase(0, dash + 1);
  }
  std::vector<double> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(':', begin), text.size());
    const auto part = number(text.substr(begin, end - begin));
    if (!part) return std::nullopt;
    parts.push_back(*part);
    begin = end + 1;
  }
  if (parts.size() > 3 || (parts.size() < 2 && dash == std::string::npos)) return std::nullopt;
  // After days the first part is hours; else three are hours, two minutes and seconds.
  while (parts.size() < 3) {
    dash != std::string::npos ? parts.push_back(0)
                              : static_cast<void>(parts.insert(parts.begin(), 0));
  }
  return days * 86400 + parts[0] * 3600 + parts[1] * 60 + parts[2];
}

namespace {

enum class Bare { kSeconds, kAsked };  // what a number without a unit is

void read_time(const Node& node, const char* name, double minimum, Bare bare, double& value,
               Report& report) {
  std::optional<double> seconds;
  if (node.kind == NodeKind::kScalar) {
    if (bare == Bare::kAsked && sweep::lacks_unit(node.text)) {
      return sweep::ask_unit(node, name, report);
    }
    seconds = sweep::seconds_of(node.text);
    if (!seconds) seconds = slurm_time(node.text);
    if (node.text == "none" && minimum <= 0) seconds = 0;
  }
  if (!seconds) {
    report.error(node.mark,
                 fmt::format("`{}`: expected a duration, found {}", name, sweep::found(node)),
                 "write a number and a unit (30 s, 10 min, 2 h, 1 d), or 2-12:00:00");
  } else if (*seconds < minimum || *seconds > kLongest) {
    report.error(node.mark, fmt::format("`{}` is {}, not within {} and {} seconds", name, node.text,
                                        minimum, kLongest));
  } else {
    value = *seconds;
  }
}

// A word or a line of it: line breaks would begin lines of their own in the file for sbatch.
void read_line(const Node& node, const std::string& name, std::string& value, Report& report) {
  if (node.kind == NodeKind::kScalar && node.text.empty()) return;
  const auto text = sweep::read_text(node, name, report);
  if (!text) return;
  if (text->find_first_of("\n\r") != std::string::npos || text->find('\0') != std::string::npos) {
    report.error(node.mark, fmt::format("`{}` is more than one line", name));
  } else {
    value = *text;
  }
}

// A list of lines, or one text of several.
void read_lines(const Node& node, const char* name, std::vector<std::string>& lines,
                Report& report) {
  lines.clear();
  if (node.kind == NodeKind::kNull) return;
  if (node.kind == NodeKind::kScalar) {
    for (size_t begin = 0; begin < node.text.size();) {
      const size_t end = std::min(node.text.find('\n', begin), node.text.size());
      if (end > begin) lines.push_back(node.text.substr(begin, end - begin));
      begin = end + 1;
    }
    return;
  }
  const Node* list = sweep::read_list(node, name, report);
  if (!list) return;
  for (const sweep::NodePtr& item : list->items) {
    std::string line;
    read_line(*item, name, line, report);
    if (!line.empty()) lines.push_back(line);
  }
}

void read_extra(const Node& node, std::vector<std::string>& extra, Report& report) {
  read_lines(node, "extra", extra, report);
  for (std::string& line : extra) {
    if (line.starts_with("#SBATCH")) line.erase(0, line.find_first_not_of(' ', 7));
    if (line.starts_with("-")) continue;
    report.error(node.mark, fmt::format("`extra` has the line `{}`", line),
                 "each line is an option of sbatch: --mail-type=FAIL");
  }
}

template <typename Choice, size_t kCount>
void read_choice(const Node& node, const char* name, const Choice (&choices)[kCount], Choice& value,
                 Report& report) {
  const auto text = sweep::read_text(node, name, report);
  if (!text) return;
  std::vector<std::string> names;
  for (const Choice choice : choices) {
    if (*text == name_of(choice)) {
      value = choice;
      return;
    }
    names.emplace_back(name_of(choice));
  }
  report.error(node.mark, fmt::format("`{}` cannot be `{}`", name, *text),
               did_you_mean(*text, names));
}

void read_count(const Node& node, const char* name, int64_t minimum, int64_t& value,
                Report& report) {
  if (const auto count = sweep::read_integer(node, name, {minimum, kMany}, report)) value = *count;
}

using Reader = std::function<void(const Node&, ClusterProfile&, Report&)>;

struct Key {
  ProfileKey key;
  Reader read;
};

Reader line(const char* name, std::string ClusterProfile::*member) {
  return [=](const Node& node, ClusterProfile& profile, Report& report) {
    read_line(node, name, profile.*member, report);
  };
}

Reader count(const char* name, int64_t ClusterProfile::*member, int64_t minimum) {
  return [=](const Node& node, ClusterProfile& profile, Report& report) {
    read_count(node, name, minimum, profile.*member, report);
  };
}

// Megabytes for Slurm, and mostly meant to be gigabytes.
Reader memory(const char* name, std::string ClusterProfile::*member) {
  constexpr size_t kDigits = 3;
  return [=](const Node& node, ClusterProfile& profile, Report& report) {
    const std::string& text = node.text;
    if (node.kind == NodeKind::kScalar && !text.empty() && text.size() <= kDigits &&
        text.find_first_not_of("0123456789") == std::string::npos &&
        text.find_first_not_of('0') != std::string::npos) {
      report.error(node.mark, fmt::format("`{}` is {}, without a unit", name, text),
                   fmt::format("write {0}G, or {0}M", text));
      return;
    }
    const auto amount = read_amount(node, name, report);
    if (!amount.known) return read_line(node, name, profile.*member, report);
    profile.*member = amount.text;
    profile.mem_grows = amount.grows;
  };
}

Reader seconds(const char* name, double ClusterProfile::*member, double minimum, Bare bare) {
  return [=](const Node& node, ClusterProfile& profile, Report& report) {
    read_time(node, name, minimum, bare, profile.*member, report);
  };
}

void read_time_limit(const Node& node, ClusterProfile& profile, Report& report) {
  if (node.kind != NodeKind::kScalar)
    return read_time(node, "time", 0, Bare::kAsked, profile.time, report);
  Node first = node;
  const auto text = first_attempt(node, "time", profile.time_grows, report);
  if (!text) return;
  first.text = *text;
  read_time(first, "time", profile.time_grows ? 1 : 0, Bare::kAsked, profile.time, report);
}

Reader template_line(const char* name, std::string command::Templates::*member) {
  return [=](const Node& node, ClusterProfile& profile, Report& report) {
    read_line(node, name, profile.templates.*member, report);
  };
}

std::vector<Key> words() {
  using P = ClusterProfile;
  return {
      {{"partition", "Partition, or several with commas."}, line("partition", &P::partition)},
      {{"account", "Account that is charged."}, line("account", &P::account)},
      {{"qos", "Quality of service."}, line("qos", &P::qos)},
      {{"constraint", "Features that nodes must have."}, line("constraint", &P::constraint)},
      {{"exclude", "Nodes that are not used."}, line("exclude", &P::exclude)},
      {{"gpu_type", "GPU type, as the gres of the cluster names it."},
       line("gpu_type", &P::gpu_type)},
      {{"device",
        "Model of the device that jobs get, as records name it. Times of different devices are "
        "kept apart, and a result that measures time is refused where it was computed on another "
        "model. Default: the device of the machine on which run_sweep is called."},
       line("device", &P::device)},
      {{"mem", "Memory of a node, 64G; 0: all of it."}, memory("mem", &P::mem)},
      {{"mem_per_gpu", "Memory for each GPU."}, memory("mem_per_gpu", &P::mem_per_gpu)},
      {{"mem_per_cpu", "Memory for each CPU."}, memory("mem_per_cpu", &P::mem_per_cpu)},
      {{"prefix", "Shell words before the program of a task: apptainer exec --nv image.sif."},
       line("prefix", &P::prefix)}};
}

std::vector<Key> numbers() {
  using P = ClusterProfile;
  return {{{"node_gpus",
            "GPUs of a node, where allocations are whole nodes: jobs that need fewer run at once."},
           read_node_gpus},
          {{"cpus_per_task", "CPUs per rank. `run: threads` overrides it."},
           count("cpus_per_task", &P::cpus_per_task, 0)},
          {{"time",
            "Time limit of an allocation. `run: time_limit` overrides it. 2 h * attempt grows with "
            "each submission of the same job, and so do mem, mem_per_gpu and mem_per_cpu."},
           read_time_limit},
          {{"signal_lead",
            "How long before the time limit a task is told to write its progress and to queue "
            "again. 0: never."},
           seconds("signal_lead", &P::signal_lead, 0, Bare::kSeconds)},
          {{"max_parallel", "Tasks of a sweep that run in parallel. 0: no limit."},
           count("max_parallel", &P::max_parallel, 0)},
          {{"max_array", "Tasks of an array. 0: the limit of the cluster."},
           count("max_array", &P::max_array, 0)},
          {{"max_queued",
            "Tasks of a sweep that are queued or run at once; --wait adds others. 0: no limit."},
           count("max_queued", &P::max_queued, 0)},
          {{"jobs_per_allocation",
            "Maximum number of jobs that a task runs one after another; with node_gpus, so many "
            "for each that runs at once."},
           count("jobs_per_allocation", &P::jobs_per_allocation, 1)},
          {{"pack_time",
            "Maximum expected time of the jobs that a task runs one after another. 0: not used."},
           seconds("pack_time", &P::pack_time, 0, Bare::kAsked)},
          {{"max_resubmissions",
            "How often in a row a job is submitted again after its task ended through no fault of "
            "its own (lost node, killed task) and the job came no further. 0: never."},
           count("max_resubmissions", &P::max_resubmissions, 0)},
          {{"poll", "Pause between two queries to the cluster and shared folders."},
           seconds("poll", &P::poll, 3, Bare::kSeconds)}};
}

std::vector<Key> of_command() {
  using T = command::Templates;
  return {
      {{"submit", "executor command: the command that queues the shell file {script}."},
       template_line("submit", &T::submit)},
      {{"state", "executor command: the command that prints the states of jobs, {ids} or {id}."},
       template_line("state", &T::state)},
      {{"cancel", "executor command: the command that ends the job {id}."},
       template_line("cancel", &T::cancel)},
      {{"id",
        "executor command: regular expression with one group around the job's id in what submit "
        "prints. Default: the first word of its last line."},
       template_line("id", &T::id)},
      {{"words",
        "executor command: what the words of state mean, added to those of PBS, LSF and Grid "
        "Engine: {Eqw: failed}. Meanings: waiting, running, done, failed, gone."},
       [](const Node& node, ClusterProfile& profile, Report& report) {
         read_words(node, profile.templates.words, report);
       }},
      {{"silent_answers",
        "executor command: a job of which state says nothing so many times in a row is lost, "
        "and submitted again."},
       [](const Node& node, ClusterProfile& profile, Report& report) {
         read_count(node, "silent_answers", 1, profile.templates.silent_answers, report);
       }}};
}

std::vector<Key> others() {
  return {{{"executor", "Where jobs run: local, on this machine, slurm, or command for others."},
           [](const Node& node, ClusterProfile& profile, Report& report) {
             const Executor choices[] = {Executor::kLocal, Executor::kSlurm, Executor::kCommand};
             read_choice(node, "executor", choices, profile.executor, report);
           }},
          {{"gpu_request", "How GPUs are requested: gres, gpus, gpus_per_node or none."},
           [](const Node& node, ClusterProfile& profile, Report& report) {
             const GpuRequest choices[] = {GpuRequest::kGres, GpuRequest::kGpus,
                                           GpuRequest::kGpusPerNode, GpuRequest::kNone};
             read_choice(node, "gpu_request", choices, profile.gpu_request, report);
           }},
          {{"extra", "Further options of sbatch, a list of lines."},
           [](const Node& node, ClusterProfile& profile, Report& report) {
             read_extra(node, profile.extra, report);
           }},
          {{"setup", "Shell lines that run before the program: module load, source, export."},
           [](const Node& node, ClusterProfile& profile, Report& report) {
             read_lines(node, "setup", profile.setup, report);
           }},
          {{"requeue", "Slurm may start a task again, after a preemption or when its node fails."},
           [](const Node& node, ClusterProfile& profile, Report& report) {
             if (const auto value = sweep::read_boolean(node, "requeue", report)) {
               profile.requeue = *value;
             }
           }}};
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = [] {
    std::vector<Key> list = others();
    for (const auto& more : {words(), numbers(), of_command()})
      list.insert(list.end(), more.begin(), more.end());
    return list;
  }();
  return all;
}

void require_sense(const Node& root, const ClusterProfile& profile, Report& report) {
  const int memories =
      !profile.mem.empty() + !profile.mem_per_cpu.empty() + !profile.mem_per_gpu.empty();
  if (memories > 1) {
    report.error(root.mark, "`mem`, `mem_per_gpu` and `mem_per_cpu` exclude each other",
                 "state one of them");
  }
  if (profile.time > 0 && profile.signal_lead >= profile.time && root.find("signal_lead")) {
    report.error(root.mark,
                 fmt::format("`signal_lead` of {} s leaves nothing of `time`, {} s",
                             profile.signal_lead, profile.time),
                 "state a shorter one");
  }
}

// What follows from other keys where it is not stated.
void fill_in(const Node& root, ClusterProfile& profile) {
  if (profile.time > 0 && !root.find("signal_lead")) {
    profile.signal_lead = std::min(profile.signal_lead, profile.time / 5);
  }
  if (profile.pack_time > 0 && !root.find("jobs_per_allocation")) {
    profile.jobs_per_allocation = kMostPacked;
  }
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (entry->path().extension() == ".yaml") names.insert(entry->path().stem().string());
  }
  return {names.begin(), names.end()};
}

}  // namespace

const std::vector<ProfileKey>& profile_keys() {
  static const std::vector<ProfileKey> list = [] {
    std::vector<ProfileKey> names;
    for (const Key& key : keys()) names.push_back(key.key);
    return names;
  }();
  return list;
}

ClusterProfile read_profile(const fs::path& file) {
  const sweep::Sources sources(sweep::read_yaml(file));
  Report report(sources);
  const sweep::Document& document = *sources.at({}).document;
  report.errors = document.problems;
  const Node& root = *document.root;
  ClusterProfile profile;
  profile.name = file.stem().string();
  if (sweep::read_map(root, "a cluster profile", report)) {
    std::vector<std::string> names;
    for (const Key& key : keys()) names.emplace_back(key.key.name);
    sweep::require_keys(root, "a cluster profile", names, report);
    if (!root.find("executor")) {
      report.error(root.mark, "the profile has no `executor`",
                   "add `executor: slurm`, or local for this machine, or command for another "
                   "queue system");
    }
    for (const Key& key : keys()) {
      if (const sweep::Entry* entry = root.find(key.key.name)) {
        key.read(*entry->value, profile, report);
      }
    }
    require_sense(root, profile, report);
    require_fitting_command(root, profile, report);
    require_fitting_nodes(root, profile, report);
    fill_in(root, profile);
  }
  if (!report.errors.empty()) throw Error(sweep::in_order(report.errors, file.string(), 50));
  return profile;
}

ClusterProfile find_profile(const std::string& wanted, const ProfileFolders& folders) {
  if (const auto file = find_profile_file(wanted, folders)) return read_profile(*file);
  ClusterProfile here;
  here.name = "none";
  return here;
}

std::optional<fs::path> find_profile_file(const std::string& wanted,
                                          const ProfileFolders& folders) {
  std::error_code ignored;
  if (wanted == "none") return std::nullopt;
  if (wanted.empty()) {
    for (const fs::path& base : {folders.config, folders.site}) {
      const fs::path file = base / "cluster.yaml";
      if (!base.empty() && fs::exists(file, ignored)) return file;
    }
    return std::nullopt;
  }
  if (fs::path(wanted).has_parent_path() || wanted.ends_with(".yaml") || wanted.ends_with(".yml")) {
    return wanted;
  }
  std::vector<std::string> names{"none"};
  std::vector<std::string> looked_in;
  const auto clusters = [](const fs::path& base) {
    return base.empty() ? base : base / "clusters";
  };
  for (const fs::path& base : {clusters(folders.config), clusters(folders.site), folders.shipped}) {
    if (base.empty()) continue;
    const fs::path file = base / (wanted + ".yaml");
    if (fs::exists(file, ignored)) return file;
    for (std::string& name : names_in(base)) names.push_back(std::move(name));
    looked_in.push_back(base.string());
  }
  throw Error(
      fmt::format("there is no cluster profile `{}` in {}", wanted, fmt::join(looked_in, " or ")),
      did_you_mean(wanted, names));
}

std::string example_of(const ClusterProfile& profile, const fs::path& shipped) {
  for (const std::string& name : names_in(shipped)) {
    ClusterProfile example;
    try {
      example = read_profile(shipped / (name + ".yaml"));
    } catch (const Error&) {
      continue;
    }
    example.name = profile.name;
    if (example == profile) return name;
  }
  return "";
}

fs::path config_folder() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config && *config == '/') return fs::path(config) / "tarflow";
  const char* home = std::getenv("HOME");
  return home && *home ? fs::path(home) / ".config" / "tarflow" : fs::path();
}

}  // namespace tarflow::slurm
