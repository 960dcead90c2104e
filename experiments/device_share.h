// Whether a timed stretch had its device to itself.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

#include "experiments/nvml.h"

namespace tarflow::experiments {

// On a CPU, compares what this process used of the CPUs with what everybody used, from its
// construction on; on a GPU, asks the driver how many processes compute on it.
class DeviceShare {
 public:
  explicit DeviceShare(const at::Device& device);

  // CPU time of others (stolen time included) over the wall time times the number of CPUs; -1 where
  // it cannot be read.
  double foreign_share() const;
  // Looks who is on the GPU now; to be called between pieces of work.
  void look();
  // Nobody else was seen at any look (GPU), or took more than kForeignShareLimit (CPU).
  bool quiet() const;

 private:
  double busy_ = 0, own_ = 0, start_ = 0;
  bool gpu_ = false, seen_another_ = false;
  std::string pci_bus_id_;
  Nvml nvml_;
};

// Above this share of foreign work a timing does not count.
inline constexpr double kForeignShareLimit = 0.1;

}  // namespace tarflow::experiments
