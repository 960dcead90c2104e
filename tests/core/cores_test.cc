#include "framework/core/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include "tests/support/house.h"

namespace tarflow {
namespace {

TEST(Cores, QuotasOfControlGroupsAreTheLeastOfAllAround) {
  const Scratch house;
  const auto cpus = [&] { return cgroup_cpus(house / "groups", house / "mount"); };
  EXPECT_FALSE(cpus()) << "no control groups here";
  write_file(house / "groups", "0::/a/b\n");
  EXPECT_FALSE(cpus());
  write_file(house / "mount/a/b/cpu.max", "max 100000\n");
  EXPECT_FALSE(cpus());
  write_file(house / "mount/a/b/cpu.max", "800000 100000\n");
  EXPECT_EQ(cpus(), 8);
  write_file(house / "mount/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(cpus(), 1.5);
}

TEST(Cores, QuotasOfVersion1) {
  const Scratch house;
  write_file(house / "groups", "5:memory:/m\n4:cpu,cpuacct:/a\n3:cpuset:/c\n");
  write_file(house / "mount/cpu/a/cpu.cfs_period_us", "100000\n");
  write_file(house / "mount/cpu/a/cpu.cfs_quota_us", "-1\n");
  EXPECT_FALSE(cgroup_cpus(house / "groups", house / "mount"));
  EXPECT_FALSE(cgroup_memory(house / "groups", house / "mount"));
  write_file(house / "mount/cpu/a/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(cgroup_cpus(house / "groups", house / "mount"), 3);
  write_file(house / "mount/memory/m/memory.limit_in_bytes", "1000\n");
  write_file(house / "mount/memory/m/memory.usage_in_bytes", "400\n");
  EXPECT_EQ(cgroup_memory(house / "groups", house / "mount"), 600);
}

TEST(Cores, MemoryIsWhatTheGroupsStillGive) {
  const Scratch house;
  write_file(house / "groups", "0::/a/b\n");
  write_file(house / "mount/a/b/memory.max", "max\n");
  write_file(house / "mount/a/b/memory.current", "10\n");
  EXPECT_FALSE(cgroup_memory(house / "groups", house / "mount"));
  write_file(house / "mount/a/memory.max", "5000\n");
  write_file(house / "mount/a/memory.current", "6000\n");
  EXPECT_EQ(cgroup_memory(house / "groups", house / "mount"), 0) << "more is in use";
  EXPECT_GT(available_memory(), 0);
}

TEST(Cores, AffinityHolds) {
  cpu_set_t before, one;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(usable_cores(), 1);
  ::sched_setaffinity(0, sizeof before, &before);
}

}  // namespace
}  // namespace tarflow
