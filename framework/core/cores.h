// How many processors this process may keep busy, and how much memory it may still take.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace tarflow {

// By its CPU affinity and the quota of its control groups, whichever is less; at least 1.
int usable_cores();

// The quota, in processors, of the groups that a file like /proc/self/cgroup names below a mount
// like /sys/fs/cgroup, of both versions; nothing where none is set.
std::optional<double> cgroup_cpus(const std::filesystem::path& groups,
                                  const std::filesystem::path& mount);

// Bytes that the machine and the control groups can give to new work; 9e18 when nothing tells.
int64_t available_memory();

// The part of that which the groups tell, as for cgroup_cpus.
std::optional<double> cgroup_memory(const std::filesystem::path& groups,
                                    const std::filesystem::path& mount);

}  // namespace tarflow
