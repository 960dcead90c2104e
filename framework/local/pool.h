// Which job may run on which device at the same time as others.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/job/job.h"
#include "framework/sweep/run_settings.h"

namespace tarflow::local {

// What of this machine jobs share.
struct Machine {
  std::vector<std::string> gpus;  // as CUDA_VISIBLE_DEVICES names them; empty: jobs run on the CPU
  int cores = 1;
  std::vector<std::string> notes = {};  // for the user, of the GPUs
  bool numbered = true;  // the names are numbers in the order of the bus, not the user's own
};

// What a job takes of the machine while it runs.
struct Allocation {
  std::vector<size_t> gpus;  // indices in Machine::gpus; empty: the CPU
  double load = 1;           // of each of them, or of the CPU; 1: all of it
  int ranks = 1;             // processes of the job: one a GPU, or those that share the CPU
  int threads = 1;           // CPU threads of each process
  bool exclusive = false;    // it has its devices to itself
};

class Pool {
 public:
  explicit Pool(Machine machine);

  // Takes what a job with these settings needs, or nothing when that is not free now. `timed`: its
  // result is a time, so that it shares its device with no other (RunSettings::exclusive). A job of
  // several GPUs has them to itself.
  std::optional<Allocation> take(const sweep::RunSettings& settings, bool timed);
  void give_back(const Allocation& allocation);
  bool on_gpu(const sweep::RunSettings& settings) const;  // whether it takes a GPU

  // Value of CUDA_VISIBLE_DEVICES for a worker; nothing where the machine has no GPUs.
  std::optional<std::string> visible_devices(const Allocation& allocation) const;
  const Machine& machine() const { return machine_; }

 private:
  bool take_gpus(size_t count, Allocation& allocation);

  Machine machine_;
  std::vector<double> gpu_loads_;
  double cpu_load_ = 0;
};

// The GPUs and cores that this process may use. Honours CUDA_VISIBLE_DEVICES and the CPU affinity.
// Throws Error for a CUDA_VISIBLE_DEVICES that names what is no GPU.
Machine this_machine();

// What keeps jobs from ever running on the machine: nodes, GPUs or a device that it has not. Each
// place in the sweep is named once.
std::vector<Problem> beyond(const Machine& machine, const job::Jobs& jobs);

}  // namespace tarflow::local
