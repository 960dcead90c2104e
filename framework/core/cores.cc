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

}  // namespace

std::optional<double> cgroup_cpus(const fs::path& groups, const fs::path& mount) {
  std::optional<double> least;
  const auto add = [&](const fs::path& group) {
    const std::optional<double> quota = quota_in(group);
    if (quota) least = std::min(least.value_or(*quota), *quota);
  };
  std::ifstream in(groups);
  for (std::string line; std::getline(in, line);) {  // "0::/a/b", "4:cpu,cpuacct:/a/b"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers != ",," && controllers.find(",cpu,") == std::string::npos) continue;
    const fs::path top = controllers == ",," ? mount : mount / "cpu";
    // Limits of the groups around it hold as well. In a container its own group is the top.
    fs::path group = top;
    add(group);
    for (const fs::path& part : fs::path(line.substr(second + 1)).relative_path()) {
      group /= part;
      add(group);
    }
  }
  return least;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int allowed = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const std::optional<double> quota = cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
  const int cores = quota ? std::min(allowed, static_cast<int>(std::ceil(*quota))) : allowed;
  return std::max(cores, 1);
}

}  // namespace tarflow
