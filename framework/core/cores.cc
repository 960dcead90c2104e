#include "framework/core/cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

namespace tarflow {
namespace fs = std::filesystem;
namespace {

// The two numbers of cpu.max, or of version 1's two files; nothing without a limit ("max", -1).
std::optional<double> quota_in(const fs::path& group) {
  double quota = 0, period = 0;
  std::ifstream both(group / "cpu.max");
  if (!(both >> quota >> period)) {
    std::ifstream(group / "cpu.cfs_quota_us") >> quota;
    std::ifstream(group / "cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

// What the groups above still give: the limit less what is in use, of either version's files.
std::optional<double> memory_in(const fs::path& group) {
  double limit = 0, used = 0;
  if (!(std::ifstream(group / "memory.max") >> limit) ||
      !(std::ifstream(group / "memory.current") >> used)) {
    limit = 0;
    std::ifstream(group / "memory.limit_in_bytes") >> limit;
    std::ifstream(group / "memory.usage_in_bytes") >> used;
  }
  if (limit <= 0) return std::nullopt;
  return std::max(0.0, limit - used);
}

// The least of what `of` says of the groups, those around them included.
template <typename Of>
std::optional<double> least_of_groups(const fs::path& groups, const fs::path& mount,
                                      const std::string& controller, const Of& of) {
  std::optional<double> least;
  const auto add = [&](const fs::path& group) {
    const std::optional<double> value = of(group);
    if (value) least = std::min(least.value_or(*value), *value);
  };
  std::ifstream in(groups);
  for (std::string line; std::getline(in, line);) {  // "0::/a/b", "4:cpu,cpuacct:/a/b"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers != ",," && controllers.find("," + controller + ",") == std::string::npos)
      continue;
    // Limits of the groups around it hold as well. In a container its own group is the top.
    fs::path group = controllers == ",," ? mount : mount / controller;
    add(group);
    for (const fs::path& part : fs::path(line.substr(second + 1)).relative_path()) {
      group /= part;
      add(group);
    }
  }
  return least;
}

}  // namespace

std::optional<double> cgroup_cpus(const fs::path& groups, const fs::path& mount) {
  return least_of_groups(groups, mount, "cpu", quota_in);
}

std::optional<double> cgroup_memory(const fs::path& groups, const fs::path& mount) {
  return least_of_groups(groups, mount, "memory", memory_in);
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int allowed = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const std::optional<double> quota = cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
  const int cores = quota ? std::min(allowed, static_cast<int>(std::ceil(*quota))) : allowed;
  return std::max(cores, 1);
}

int64_t available_memory() {
  double bytes = 9e18;
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("MemAvailable:")) bytes = 1024 * std::stod(line.substr(13));
  }
  const std::optional<double> group = cgroup_memory("/proc/self/cgroup", "/sys/fs/cgroup");
  return static_cast<int64_t>(std::min(bytes, group.value_or(bytes)));
}

}  // namespace tarflow
