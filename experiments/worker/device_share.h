// Whether a timed stretch had its device to itself.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "experiments/worker/device_use.h"
#include "experiments/worker/nvml.h"

namespace tarflow::experiments {

// Looks at what is used from its construction on: on a CPU by whom, on a GPU how many processes
// compute on it, which the driver knows. From the first construction on the process handles
// SIGCONT.
class DeviceShare {
 public:
  explicit DeviceShare(const at::Device& device);

  // Looks who is on the GPU now; to be called between pieces of work.
  void look();
  DeviceUse use() const;

 private:
  double busy_ = 0, own_ = 0, start_ = 0;
  int continued_ = 0;  // how often this process had been stopped and continued before
  bool gpu_ = false, seen_another_ = false;
  std::string pci_bus_id_;
  Nvml nvml_;
};

}  // namespace tarflow::experiments
