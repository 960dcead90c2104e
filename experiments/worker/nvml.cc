#include "experiments/worker/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <utility>

namespace tarflow::experiments {
namespace {

// The little of nvml.h that is used; its binary interface is stable.
using Device = void*;
using Status = int;  // 0: success
constexpr Status kInsufficientSize = 7, kUnknown = 999;
constexpr unsigned kClockSm = 1, kClockMemory = 2, kTemperatureGpu = 0;

using DeviceNumber = Status (*)(Device, unsigned*);
using DeviceKindNumber = Status (*)(Device, unsigned, unsigned*);

}  // namespace

template <typename Function>
Function Nvml::function(const char* name) const {
  return library_ ? reinterpret_cast<Function>(::dlsym(library_, name)) : nullptr;
}

Nvml::Nvml(const char* library) : library_(::dlopen(library, RTLD_NOW | RTLD_LOCAL)) {
  const auto init = function<Status (*)()>("nvmlInit_v2");
  if (library_ && (!init || init() != 0)) {
    ::dlclose(library_);
    library_ = nullptr;
  }
}

Nvml::~Nvml() {
  if (!library_) return;
  if (const auto shutdown = function<Status (*)()>("nvmlShutdown")) shutdown();
  ::dlclose(library_);
}

std::string Nvml::driver() const {
  char version[96] = {};
  const auto ask = function<Status (*)(char*, unsigned)>("nvmlSystemGetDriverVersion");
  return ask && ask(version, sizeof version - 1) == 0 ? version : "";
}

void* Nvml::device(const std::string& pci_bus_id) const {
  Device device = nullptr;
  const auto find = function<Status (*)(const char*, Device*)>("nvmlDeviceGetHandleByPciBusId_v2");
  return find && find(pci_bus_id.c_str(), &device) == 0 ? device : nullptr;
}

std::optional<int> Nvml::compute_processes(const std::string& pci_bus_id) const {
  const Device device = this->device(pci_bus_id);
  const auto ask =
      function<Status (*)(Device, unsigned*, void*)>("nvmlDeviceGetComputeRunningProcesses_v3");
  unsigned count = 0;  // room for none: it answers how much it would take
  const Status status = device && ask ? ask(device, &count, nullptr) : kUnknown;
  if (status != 0 && status != kInsufficientSize) return std::nullopt;
  return static_cast<int>(count);
}

Json Nvml::state(const std::string& pci_bus_id) const {
  Json json = Json::object();
  const Device device = this->device(pci_bus_id);
  if (!device) return json;
  const auto clock = [&](const char* key, const char* name, unsigned kind) {
    unsigned value = 0;
    const auto ask = function<DeviceKindNumber>(name);
    if (ask && ask(device, kind, &value) == 0) json[key] = value;
  };
  clock("sm_mhz", "nvmlDeviceGetClockInfo", kClockSm);
  clock("memory_mhz", "nvmlDeviceGetClockInfo", kClockMemory);
  clock("sm_max_mhz", "nvmlDeviceGetMaxClockInfo", kClockSm);
  clock("memory_max_mhz", "nvmlDeviceGetMaxClockInfo", kClockMemory);
  clock("temperature_celsius", "nvmlDeviceGetTemperature", kTemperatureGpu);
  const auto watts = [&](const char* key, const char* name) {
    unsigned milliwatts = 0;
    const auto ask = function<DeviceNumber>(name);
    if (ask && ask(device, &milliwatts) == 0) json[key] = milliwatts / 1000.0;
  };
  watts("power_watts", "nvmlDeviceGetPowerUsage");
  watts("power_limit_watts", "nvmlDeviceGetEnforcedPowerLimit");
  unsigned long long reasons = 0;
  const auto throttle = function<Status (*)(Device, unsigned long long*)>(
      "nvmlDeviceGetCurrentClocksThrottleReasons");
  if (throttle && throttle(device, &reasons) == 0)
    json["throttle_reasons"] = throttle_reasons(reasons);
  unsigned current = 0, pending = 0;
  const auto mig = function<Status (*)(Device, unsigned*, unsigned*)>("nvmlDeviceGetMigMode");
  if (mig && mig(device, &current, &pending) == 0) json["mig"] = current != 0;
  return json;
}

Json throttle_reasons(unsigned long long mask) {
  constexpr const char* kReasons[] = {"gpu_idle",
                                      "applications_clocks_setting",
                                      "sw_power_cap",
                                      "hw_slowdown",
                                      "sync_boost",
                                      "sw_thermal_slowdown",
                                      "hw_thermal_slowdown",
                                      "hw_power_brake_slowdown",
                                      "display_clock_setting"};
  Json reasons = Json::array();
  for (const char* reason : kReasons) {
    if (mask & 1) reasons.push_back(reason);
    mask >>= 1;
  }
  if (mask != 0) reasons.push_back(fmt::format("unknown ({:#x})", mask << std::size(kReasons)));
  return reasons;
}

}  // namespace tarflow::experiments
