// Clocks, power and temperature of a GPU through NVML, which comes with the driver and is loaded at
// run time: where it is absent nothing is said.
#pragma once

#include <optional>
#include <string>

#include "framework/core/json.h"

namespace tarflow::experiments {

class Nvml {
 public:
  // `library` is tried as dlopen does.
  explicit Nvml(const char* library = "libnvidia-ml.so.1");
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // Version of the driver, "" when unknown.
  std::string driver() const;
  // Of the GPU at this PCI bus (as cudaDeviceGetPCIBusId names it): sm_mhz, memory_mhz and their
  // maxima, power_watts, power_limit_watts, temperature_celsius, throttle_reasons, mig. What the
  // driver does not tell is left out; {} when it tells nothing.
  Json state(const std::string& pci_bus_id) const;
  // Processes that compute on that GPU now, this one included; nothing when it cannot be told.
  std::optional<int> compute_processes(const std::string& pci_bus_id) const;

 private:
  template <typename Function>
  Function function(const char* name) const;
  void* device(const std::string& pci_bus_id) const;  // nullptr when there is none

  void* library_ = nullptr;
};

// The reasons that the driver's bit mask names: "sw_power_cap", ...
Json throttle_reasons(unsigned long long mask);

}  // namespace tarflow::experiments
