#include "framework/slurm/allocation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "framework/core/cores.h"
#include "framework/core/error.h"
#include "framework/job/plan.h"
#include "framework/job/worker_variables.h"
#include "framework/slurm/standing.h"
#include "framework/slurm/whole_nodes.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

int64_t number_in(const Variable& variable, const char* name, std::optional<int64_t> absent = {}) {
  const std::string text = variable(name);
  if (text.empty() && absent) return *absent;
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failed != std::errc() || end != text.data() + text.size() || value < 0) {
    throw Error(text.empty() ? fmt::format("the variable {} is not set", name)
                             : fmt::format("the variable {} is `{}`, no number", name, text),
                "--cluster-task runs in a task of a job array: sbatch starts it with the file that "
                "run_sweep wrote");
  }
  return value;
}

std::string in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = folder + "/" + program;
    if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return file;
  }
  throw Error(fmt::format("there is no `{}` on {}", program, this_allocation().node),
              "several ranks are started with it: see that the nodes have it in PATH, within a "
              "container as well");
}

// Of each process. The CPUs of a node are divided by numbers of threads alone: processes are bound
// to no cores, since it is not known here which cores are near which GPU.
int64_t threads_of(const Submission& submission, const Allocated& place, const Part& part) {
  if (submission.run.threads > 0) return submission.run.threads;
  if (place.cpus > 0) return place.cpus;
  const int64_t ranks = submission.run.processes_per_node() * static_cast<int64_t>(part.of);
  return std::max<int64_t>(1, usable_cores() / ranks);
}

// "oom_kill 3" in a file of a control group.
std::optional<int64_t> oom_kills_in(const fs::path& file) {
  std::ifstream in(file);
  std::string name;
  for (int64_t value = 0; in >> name >> value;) {
    if (name == "oom_kill") return value;
  }
  return std::nullopt;
}

}  // namespace

Allocated allocation_from(const Variable& variable) {
  Allocated place;
  number_in(variable, "SLURM_ARRAY_JOB_ID");
  place.array = variable("SLURM_ARRAY_JOB_ID");
  place.task = static_cast<size_t>(number_in(variable, "SLURM_ARRAY_TASK_ID"));
  place.restart = static_cast<int>(number_in(variable, "SLURM_RESTART_COUNT", 0));
  place.cpus = number_in(variable, "SLURM_CPUS_PER_TASK", 0);
  place.node = variable("SLURMD_NODENAME");
  return place;
}

Allocated this_allocation() {
  return allocation_from([](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  });
}

std::vector<Part> parts_of(const Submission& submission, const job::VisibleGpus& visible) {
  const auto at_once = static_cast<size_t>(jobs_at_once(submission.profile, submission.run));
  if (at_once == 1) return {Part{}};
  const std::vector<std::string>& names = visible.names;
  if (names.empty()) return std::vector<Part>(at_once, Part{at_once, std::nullopt});
  const size_t each = std::min(static_cast<size_t>(submission.run.gpus), names.size());
  const size_t count = std::min(at_once, names.size() / each);
  std::vector<Part> parts;
  for (size_t i = 0; i < count; ++i) {
    const auto first = names.begin() + static_cast<std::ptrdiff_t>(i * each);
    const auto last = first + static_cast<std::ptrdiff_t>(each);
    parts.push_back({count, fmt::format("{}", fmt::join(first, last, ",")), visible.numbered});
  }
  return parts;
}

std::vector<Part> parts_of(const Submission& submission, std::vector<std::string>& notes) {
  if (jobs_at_once(submission.profile, submission.run) == 1) return {Part{}};
  const job::VisibleGpus visible = job::visible_gpus();
  notes = visible.notes;
  const size_t count = visible.names.size();
  if (count < static_cast<size_t>(submission.profile.node_gpus)) {
    notes.push_back(fmt::format(
        "this node has {} for jobs; `node_gpus` of the cluster profile is "
        "{}",
        count == 0 ? "no GPU" : job::counted(count, "GPU"), submission.profile.node_gpus));
  }
  return parts_of(submission, visible);
}

job::Launch launch_of(const Submission& submission, const Allocated& place, const Part& part,
                      bool timed) {
  const sweep::RunSettings& run = submission.run;
  const int64_t threads = threads_of(submission, place, part);
  const bool shared = jobs_at_once(submission.profile, run) > 1;
  job::Launch launch{submission.programs / "run_job", {}, {}};
  const bool by_command = submission.profile.by_command();
  launch.place = task_id(submission, place.task).str();
  if (by_command && launch.place.empty()) launch.place = submission.name;  // not noted yet
  const bool own_ranks = by_command || shared;  // run_job starts its ranks itself
  if (own_ranks) {
    launch.arguments = {"--ranks", fmt::format("{}", run.processes())};
  } else if (run.processes() > 1) {
    launch.before = {in_path("srun"),
                     fmt::format("--nodes={}", run.nodes),
                     fmt::format("--ntasks={}", run.processes()),
                     fmt::format("--ntasks-per-node={}", run.processes_per_node()),
                     fmt::format("--cpus-per-task={}", threads),
                     "--kill-on-bad-exit=1",
                     "--mpi=none",
                     "--export=ALL",
                     "--input=none"};
    launch.arguments = {"--ranks-from", "slurm"};
    launch.stop_signal = SIGUSR2;  // srun passes it on; TERM would end the ranks at once
  } else {
    launch.arguments = {"--ranks-from", "none"};
  }
  if (timed && run.exclusive) launch.arguments.emplace_back("--exclusive");
  const int64_t divided = own_ranks ? threads * run.processes() : threads;  // among ranks
  launch.arguments.insert(launch.arguments.end(), {"--threads", fmt::format("{}", divided)});
  launch.variables["OMP_NUM_THREADS"] = fmt::format("{}", threads);
  if (shared) job::wait_briefly(launch.variables);
  if (part.gpus) job::show_gpus(*part.gpus, part.numbered, launch.variables);
  launch.explain = [before = oom_kills().value_or(0),
                    shared](const process::Exit& exit) -> std::string {
    const bool killed = process::ended_by(exit, SIGKILL);
    // Where others run beside it, the kernel may have killed one of those.
    if (oom_kills().value_or(0) > before && (killed || !shared)) {
      return "the memory of the allocation ran out; ask for more in the cluster profile (mem)";
    }
    // As srun has it.
    return exit.code == 128 + SIGKILL ? "signal 9 ended a rank; the memory may have run out" : "";
  };
  return launch;
}

std::string requeue(const Allocated& place, const Ask& ask) {
  const TaskId task{place.array, static_cast<int64_t>(place.task)};
  const process::Said said = ask({"scontrol", "show", "job", "--oneliner", task.str()});
  if (!said.well()) return said.complaint();
  const TaskStates states = read_scontrol(said.out);
  const auto state = states.find(task);
  const bool here = state != states.end() && !state->second.over();
  if (!here || state->second.state == "COMPLETING") {
    return fmt::format("Slurm is ending it already ({})",
                       state == states.end() ? "it does not know it" : state->second.state);
  }
  const process::Said done = ask({"scontrol", "requeue", task.str()});
  return done.well() ? "" : done.complaint();
}

std::optional<int64_t> oom_kills() {
  std::ifstream groups("/proc/self/cgroup");
  std::optional<int64_t> kills;
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    for (const fs::path& file : {fs::path("/sys/fs/cgroup" + path) / "memory.events",
                                 fs::path("/sys/fs/cgroup/memory" + path) / "memory.oom_control"}) {
      if (!controllers.empty() && controllers != "memory") continue;
      if (const auto found = oom_kills_in(file)) kills = std::max(kills.value_or(0), *found);
    }
  }
  return kills;
}

}  // namespace tarflow::slurm
