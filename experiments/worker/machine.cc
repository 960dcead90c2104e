#include "experiments/worker/machine.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

namespace tarflow::experiments {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::optional<double> number_in(const fs::path& file) {
  std::ifstream in(file);
  double value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

// Of the line "key: value kB", in bytes.
std::optional<int64_t> memory_bytes(const fs::path& meminfo) {
  std::ifstream in(meminfo);
  std::string key, unit;
  for (int64_t value = 0; in >> key >> value; in >> unit) {
    if (key == "MemTotal:") return value * 1024;
  }
  return std::nullopt;
}

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

Json slurm() {
  Json json = Json::object();
  for (const char* name :
       {"SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID",
        "SLURM_JOB_PARTITION", "SLURMD_NODENAME", "SLURM_CPUS_PER_TASK", "SLURM_RESTART_COUNT"}) {
    if (const char* value = variable(name)) json[name] = value;
  }
  return json;
}

// "" outside of containers, as far as one can tell.
std::string container() {
  for (const char* name : {"APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "container"}) {
    if (const char* value = variable(name)) return value;
  }
  std::error_code ignored;
  if (fs::exists("/.dockerenv", ignored)) return "docker";
  if (fs::exists("/run/.containerenv", ignored)) return "podman";
  return "";
}

// Frequencies are in kHz there.
Json cpu_clock(const fs::path& cpus) {
  Json json = Json::object();
  const fs::path first = cpus / "cpu0/cpufreq";
  if (const std::string governor = first_line(first / "scaling_governor"); !governor.empty())
    json["governor"] = governor;
  if (const auto lowest = number_in(first / "cpuinfo_min_freq")) json["min_mhz"] = *lowest / 1000;
  if (const auto highest = number_in(first / "cpuinfo_max_freq")) json["max_mhz"] = *highest / 1000;
  double sum = 0;
  int count = 0;
  while (const auto current =
             number_in(cpus / fmt::format("cpu{}", count) / "cpufreq/scaling_cur_freq")) {
    sum += *current / 1000;
    ++count;
  }
  if (count > 0) json["current_mhz"] = sum / count;
  return json;
}

}  // namespace

Json machine(const MachineFiles& files) {
  Json json = {{"cores", std::thread::hardware_concurrency()}};
  utsname name{};
  if (::uname(&name) == 0) {
    json["host"] = name.nodename;
    json["kernel"] = fmt::format("{} {} {}", name.sysname, name.release, name.machine);
  }
  if (const std::string id = first_line(files.proc / "sys/kernel/random/boot_id"); !id.empty())
    json["boot_id"] = id;
  if (const auto bytes = memory_bytes(files.proc / "meminfo")) json["memory_bytes"] = *bytes;
  if (const std::string text = container(); !text.empty()) json["container"] = text;
  if (Json job = slurm(); !job.empty()) json["slurm"] = std::move(job);
  return json;
}

Json machine_state(const MachineFiles& files) {
  Json json = Json::object();
  std::ifstream load(files.proc / "loadavg");
  if (double one, five, fifteen; load >> one >> five >> fifteen)
    json["load_average"] = {one, five, fifteen};
  if (Json clock = cpu_clock(files.sys / "devices/system/cpu"); !clock.empty())
    json["cpu_clock"] = std::move(clock);
  return json;
}

}  // namespace tarflow::experiments
