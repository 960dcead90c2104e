// How many processors this process may keep busy.
#pragma once

#include <filesystem>
#include <optional>

namespace tarflow {

// By its CPU affinity and the quota of its control groups, whichever is less; at least 1.
int usable_cores();

// The quota, in processors, of the groups that a file like /proc/self/cgroup names below a mount
// like /sys/fs/cgroup, of both versions; nothing where none is set.
std::optional<double> cgroup_cpus(const std::filesystem::path& groups,
                                  const std::filesystem::path& mount);

}  // namespace tarflow
