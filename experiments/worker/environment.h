// Where and with what a job ran; kept with its results and left out of their identity.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "experiments/worker/nvml.h"
#include "framework/core/json.h"

namespace tarflow::experiments {

// What of the program may change a bit of a result: its version and content, LibTorch, the CPU's
// instructions that are used, and CUDA's libraries.
Json build_identity();

std::string libtorch_version();  // of the headers that this program was built with

// Where a GPU sits, as NVML knows it; "" for a CPU.
std::string pci_bus_id(const at::Device& device);

// Looks at the machine when it is made, at a job's start, and again at its end.
class Environment {
 public:
  explicit Environment(const at::Device& device);

  // Versions, machine, device, state at start and end, command line; environment.json.
  Json at_end() const;

 private:
  Json state() const;  // what changes: load, clocks, temperature

  at::Device device_;
  Nvml nvml_;
  Json start_;
};

}  // namespace tarflow::experiments
