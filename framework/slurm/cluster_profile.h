// How jobs are put on a cluster: what a file clusters/NAME.yaml says, as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/command/templates.h"
#include "framework/core/json.h"

namespace tarflow::slurm {

// kCommand: another queue system, reached through shell templates.
enum class Executor { kLocal, kSlurm, kCommand };
// How a job's GPUs are asked for: --gres=gpu:TYPE:N, --gpus-per-task of one, --gpus-per-node, or
// not at all, where the partition or `extra` sees to it.
enum class GpuRequest { kGres, kGpus, kGpusPerNode, kNone };

struct ClusterProfile {
  std::string name;  // "none": this machine
  Executor executor = Executor::kLocal;
  // Slurm's words, not looked at; "": not stated.
  std::string partition, account, qos, constraint, exclude;
  GpuRequest gpu_request = GpuRequest::kGres;
  std::string gpu_type;
  std::string device;         // model of the device that jobs get, by which times are told apart
  int64_t node_gpus = 0;      // of a node, where allocations are whole nodes; 0: not stated
  int64_t cpus_per_task = 0;  // of each rank; 0: not stated
  std::string mem, mem_per_gpu, mem_per_cpu;
  bool mem_grows = false;  // `* attempt`: what is stated is that of the first attempt
  double time =
      0;  // seconds an allocation may take, where the sweep has no time_limit; 0: not stated
  bool time_grows = false;          // likewise
  double signal_lead = 120;         // seconds before that at which USR2 is sent; 0: never
  int64_t max_parallel = 0;         // tasks of a sweep at once; 0: no limit
  int64_t max_array = 0;            // tasks of an array; 0: what Slurm allows
  int64_t max_queued = 0;           // tasks of a sweep in the queue at once; 0: no limit
  int64_t jobs_per_allocation = 1;  // one after another, at most, for each that runs at once
  double pack_time =
      0;  // seconds: so many jobs as are expected to take no longer; 0: not looked at
  std::vector<std::string> extra;  // further lines, without "#SBATCH "
  std::vector<std::string> setup;  // shell lines before anything runs: modules, variables
  std::string prefix;              // shell words before the task's program: a container's
  bool requeue = true;             // Slurm may start a task again: after preemption, node failure
  int64_t max_resubmissions = 3;   // of tasks that ended for no fault of their jobs
  double poll = 15;                // seconds between two questions to the cluster, at least
  command::Templates templates;    // of Executor::kCommand
  bool operator==(const ClusterProfile&) const = default;

  bool slurm() const { return executor == Executor::kSlurm; }
  bool by_command() const { return executor == Executor::kCommand; }
  bool queued() const { return executor != Executor::kLocal; }  // jobs go to a queue
  // Jobs get no GPU. Whole nodes may have GPUs that are not asked for.
  bool on_cpus() const { return gpu_request == GpuRequest::kNone && node_gpus == 0; }
  bool grows() const { return mem_grows || time_grows; }
};

const char* name_of(Executor executor);
// As messages call it: "Slurm", "the queue".
const char* queue_name(const ClusterProfile& profile);
const char* name_of(GpuRequest request);

Json to_json(const ClusterProfile& profile);
// Of a submission. Keys that are absent have their defaults. Throws Error naming a key of the wrong
// type or an unknown word.
ClusterProfile profile_from_json(const Json& json);

}  // namespace tarflow::slurm
