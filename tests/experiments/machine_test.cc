#include "experiments/worker/machine.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "experiments/worker/nvml.h"
#include "framework/core/file.h"

namespace tarflow::experiments {
namespace {

namespace fs = std::filesystem;

class Machine : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tarflow_machine_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    files_ = {folder_ / "proc", folder_ / "sys"};
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
  MachineFiles files_;
};

TEST_F(Machine, WhatTheKernelTells) {
  write_file(files_.proc / "sys/kernel/random/boot_id", "abc-def\n");
  write_file(files_.proc / "meminfo", "MemFree: 7 kB\nMemTotal:       1024 kB\n");
  write_file(files_.proc / "loadavg", "0.50 1.25 2.00 3/95 29079\n");
  const fs::path cpus = files_.sys / "devices/system/cpu";
  write_file(cpus / "cpu0/cpufreq/scaling_governor", "performance\n");
  write_file(cpus / "cpu0/cpufreq/cpuinfo_max_freq", "3500000\n");
  write_file(cpus / "cpu0/cpufreq/scaling_cur_freq", "3000000\n");
  write_file(cpus / "cpu1/cpufreq/scaling_cur_freq", "2000000\n");
  const Json known = machine(files_);
  EXPECT_EQ(known.at("boot_id"), "abc-def");
  EXPECT_EQ(known.at("memory_bytes"), 1 << 20);
  EXPECT_GT(known.at("cores").get<int>(), 0);
  EXPECT_FALSE(known.at("host").get<std::string>().empty());
  EXPECT_EQ(machine_state(files_),
            (Json{{"load_average", {0.5, 1.25, 2.0}},
                  {"cpu_clock",
                   {{"governor", "performance"}, {"max_mhz", 3500.0}, {"current_mhz", 2500.0}}}}));
}

TEST_F(Machine, WhatItDoesNotTellIsLeftOut) {
  EXPECT_EQ(machine_state(files_), Json::object());
  EXPECT_FALSE(machine(files_).contains("boot_id"));
  EXPECT_FALSE(machine(files_).contains("memory_bytes"));
}

TEST_F(Machine, SlurmsVariablesAreKept) {
  ::setenv("SLURM_JOB_ID", "4711", 1);
  EXPECT_EQ(machine(files_).at("slurm").at("SLURM_JOB_ID"), "4711");
  ::unsetenv("SLURM_JOB_ID");
}

TEST(Nvml, StateOfAGpu) {
  const Nvml nvml(TARFLOW_FAKE_NVML);
  EXPECT_EQ(nvml.driver(), "580.65.06");
  EXPECT_EQ(nvml.state("0000:0F:00.0"),
            (Json{{"sm_mhz", 1980},
                  {"sm_max_mhz", 2100},
                  {"memory_mhz", 3201},
                  {"memory_max_mhz", 3300},
                  {"temperature_celsius", 41},
                  {"power_limit_watts", 700.5},
                  {"throttle_reasons", {"sw_power_cap", "hw_thermal_slowdown"}}}))
      << "what the driver does not support is left out";
  EXPECT_EQ(nvml.state("0000:AA:00.0"), Json::object());
}

TEST(Nvml, ProcessesOnAGpu) {
  const Nvml nvml(TARFLOW_FAKE_NVML);
  EXPECT_EQ(nvml.compute_processes("0000:0F:00.0"), 2);
  EXPECT_FALSE(nvml.compute_processes("0000:10:00.0"));
  EXPECT_FALSE(Nvml("libthat_is_not_there.so").compute_processes("0000:0F:00.0"));
}

TEST(Nvml, AbsentLibraryTellsNothing) {
  const Nvml nvml("libthat_is_not_there.so");
  EXPECT_EQ(nvml.driver(), "");
  EXPECT_EQ(nvml.state("0000:0F:00.0"), Json::object());
}

TEST(Nvml, UnknownThrottleReasonsAreNotLost) {
  EXPECT_EQ(throttle_reasons(0), Json::array());
  EXPECT_EQ(throttle_reasons(0x201), (Json{"gpu_idle", "unknown (0x200)"}));
}

}  // namespace
}  // namespace tarflow::experiments
