#include "framework/schedule/pool.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>
#include <cmath>

#include "framework/core/error.h"
#include "framework/schedule/device.h"

namespace tarflow::schedule {
namespace {

// Loads are sums of fractions 1/n.
constexpr double kRounding = 1e-9;

bool fits(double load, double more) { return load + more <= 1 + kRounding; }

}  // namespace

Pool::Pool(Machine machine) : machine_(std::move(machine)), gpu_loads_(machine_.gpus.size(), 0.0) {}

std::optional<Allocation> Pool::take(const sweep::RunSettings& settings, bool timed) {
  const bool alone = timed && settings.exclusive;
  const bool on_gpu = !machine_.gpus.empty() && settings.gpus > 0;
  const auto at_once = static_cast<double>(on_gpu ? settings.jobs_per_gpu : settings.workers);
  Allocation allocation;
  allocation.load = alone ? 1 : 1 / at_once;
  allocation.exclusive = allocation.load == 1;
  const double workers =
      on_gpu ? static_cast<double>(machine_.gpus.size()) / allocation.load : 1 / allocation.load;
  allocation.threads =
      settings.threads > 0
          ? static_cast<int>(settings.threads)
          : std::max(1, static_cast<int>(machine_.cores / std::max(1.0, std::round(workers))));
  if (!on_gpu) {
    if (!fits(cpu_load_, allocation.load)) return std::nullopt;
    cpu_load_ += allocation.load;
    return allocation;
  }
  // The fullest that still has room, so that whole devices stay free for jobs that need one.
  std::optional<size_t> best;
  for (size_t i = 0; i < gpu_loads_.size(); ++i) {
    if (!fits(gpu_loads_[i], allocation.load)) continue;
    if (!best || gpu_loads_[i] > gpu_loads_[*best]) best = i;
  }
  if (!best) return std::nullopt;
  gpu_loads_[*best] += allocation.load;
  allocation.gpus = {*best};
  return allocation;
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
  machine.gpus = visible_gpus();
  cpu_set_t set;
  CPU_ZERO(&set);
  machine.cores = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return machine;
}

}  // namespace tarflow::schedule
