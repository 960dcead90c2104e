#include "framework/local/pool.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "framework/core/cores.h"
#include "framework/core/error.h"
#include "framework/job/device.h"

namespace tarflow::local {
namespace {

// Loads are sums of fractions 1/n.
constexpr double kRounding = 1e-9;

bool fits(double load, double more) { return load + more <= 1 + kRounding; }

}  // namespace

Pool::Pool(Machine machine) : machine_(std::move(machine)), gpu_loads_(machine_.gpus.size(), 0.0) {}

std::optional<Allocation> Pool::take(const sweep::RunSettings& settings, bool timed) {
  const bool alone = timed && settings.exclusive;
  const bool on_gpu = this->on_gpu(settings);
  const bool whole = alone || (on_gpu && settings.gpus > 1);
  const auto at_once = static_cast<double>(on_gpu ? settings.jobs_per_gpu : settings.workers);
  Allocation allocation;
  allocation.load = whole ? 1 : 1 / at_once;
  allocation.exclusive = allocation.load == 1;
  // Without GPUs `gpus: 1` is one process on the CPU.
  allocation.ranks = static_cast<int>(settings.processes_per_node());
  const double processes = on_gpu ? static_cast<double>(machine_.gpus.size()) / allocation.load
                                  : allocation.ranks / allocation.load;
  allocation.threads =
      settings.threads > 0
          ? static_cast<int>(settings.threads)
          : std::max(1, static_cast<int>(machine_.cores / std::max(1.0, std::round(processes))));
  if (on_gpu) {
    if (!take_gpus(static_cast<size_t>(settings.gpus), allocation)) return std::nullopt;
  } else {
    if (!fits(cpu_load_, allocation.load)) return std::nullopt;
    cpu_load_ += allocation.load;
  }
  return allocation;
}

// The fullest that still have room, so that whole devices stay free for jobs that need them.
bool Pool::take_gpus(size_t count, Allocation& allocation) {
  std::vector<size_t> fitting;
  for (size_t i = 0; i < gpu_loads_.size(); ++i) {
    if (fits(gpu_loads_[i], allocation.load)) fitting.push_back(i);
  }
  if (fitting.size() < count) return false;
  std::stable_sort(fitting.begin(), fitting.end(),
                   [&](size_t a, size_t b) { return gpu_loads_[a] > gpu_loads_[b]; });
  fitting.resize(count);
  std::sort(fitting.begin(), fitting.end());
  for (const size_t gpu : fitting) gpu_loads_[gpu] += allocation.load;
  allocation.gpus = std::move(fitting);
  return true;
}

bool Pool::on_gpu(const sweep::RunSettings& settings) const {
  return !machine_.gpus.empty() && settings.gpus > 0;
}

void Pool::give_back(const Allocation& allocation) {
  if (allocation.gpus.empty()) {
    cpu_load_ = std::max(0.0, cpu_load_ - allocation.load);
    return;
  }
  for (const size_t gpu : allocation.gpus) {
    gpu_loads_[gpu] = std::max(0.0, gpu_loads_[gpu] - allocation.load);
  }
}

std::optional<std::string> Pool::visible_devices(const Allocation& allocation) const {
  if (machine_.gpus.empty()) return std::nullopt;
  std::vector<std::string> names;
  for (const size_t gpu : allocation.gpus) names.push_back(machine_.gpus[gpu]);
  return fmt::format("{}", fmt::join(names, ","));
}

Machine this_machine() {
  Machine machine;
  job::VisibleGpus visible = job::visible_gpus();
  machine.gpus = std::move(visible.names);
  machine.notes = std::move(visible.notes);
  machine.numbered = visible.numbered;
  machine.cores = usable_cores();
  return machine;
}

namespace {

// `device: cuda` and `device: cuda:3`, each once.
void add_absent_device(const std::string& device, size_t gpus, std::vector<Problem>& problems,
                       std::set<std::string>& named) {
  if (!device.starts_with("cuda") || gpus > 0 || !named.insert("device " + device).second) return;
  problems.push_back(
      {{},
       fmt::format("`device: {}`, but this machine has no GPU that jobs may use", device),
       "state device: auto (a GPU where there is one) or --set device=auto; CUDA_VISIBLE_DEVICES "
       "says which GPUs may be used; --cluster NAME runs it on a cluster",
       ""});
}

}  // namespace

std::vector<Problem> beyond(const Machine& machine, const job::Jobs& jobs) {
  std::vector<Problem> problems;
  std::set<std::string> named;
  const auto add = [&](const sweep::StatedAt& at, std::string what, std::string repair) {
    if (named.insert(at.place.str() + what).second)
      problems.push_back({at.place, std::move(what), std::move(repair), at.source_line});
  };
  const size_t gpus = machine.gpus.size();
  for (const job::Job& job : jobs) {
    const sweep::RunSettings& run = *job.run;
    if (run.nodes > 1) {
      add(run.nodes_at, fmt::format("jobs of {} nodes, but this machine is one", run.nodes),
          "state nodes: 1, or run the sweep on a cluster");
    }
    if (run.gpus > 1 && static_cast<size_t>(run.gpus) > gpus) {
      add(run.gpus_at,
          fmt::format("jobs of {} GPUs, but this machine has {}", run.gpus,
                      gpus == 0 ? "none" : fmt::format("{} to give", gpus)),
          gpus == 0 ? "state gpus: 1, which takes the CPU where there are no GPUs"
                    : fmt::format("state gpus: {} or fewer; CUDA_VISIBLE_DEVICES says which may be "
                                  "used",
                                  gpus));
    }
    const Json* device = job.settings.find("device");
    if (device && device->is_string() && run.nodes == 1)
      add_absent_device(device->get<std::string>(), gpus, problems, named);
  }
  return problems;
}

}  // namespace tarflow::local
