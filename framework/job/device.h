// The model of the device that workers compute on.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace tarflow::job {

// Model of the first NVIDIA GPU a worker would see, else of the CPU; "unknown" where neither tells.
// Two machines with the same answer may share timings.
std::string device_model();

// "model name" of the first processor in the text of /proc/cpuinfo, "" without one.
std::string cpu_model(const std::string& cpuinfo);
// "Model:" in the text of /proc/driver/nvidia/gpus/*/information, "" without one.
std::string gpu_model(const std::string& information);

// What timings are told apart by.
struct DeviceModels {
  std::string first;  // of the device a worker takes by itself: a GPU where there is one
  std::string cpu;
  // Of these the one that a cluster profile states: results of another are refused. "": none.
  std::string stated = {};

  DeviceModels(std::string all) : first(all), cpu(std::move(all)) {}  // NOLINT: one for both
  DeviceModels(std::string first_one, std::string of_cpu)
      : first(std::move(first_one)), cpu(std::move(of_cpu)) {}
};
DeviceModels device_models();

// Whether a device that calls itself `used` is of the model `stated`: its words, without regard to
// case, stand in `used` in a row. "NVIDIA H200" is also "NVIDIA H200 MIG 1g.18gb", and never
// "NVIDIA GH200". What cannot be told ("") is.
bool is_of_model(const std::string& used, const std::string& stated);

// Of the CPU alone, without a question to the driver of GPUs.
std::string this_cpu_model();

// A GPU as `nvidia-smi -L` lists it.
struct ListedGpu {
  std::string model;
  std::string uuid;                // "GPU-5d5ba0d6-..."
  std::vector<std::string> parts;  // "MIG-c6d4f1ef-...": of a divided GPU
};
std::vector<ListedGpu> listed_gpus(const std::string& listing);

// The GPUs of a machine as far as they can be told.
struct GpuListing {
  std::vector<ListedGpu> gpus;
  size_t count = 0;     // of `gpus`, or of device files where nvidia-smi does not tell
  std::string trouble;  // why it does not tell; "" where it does or there is no driver
};
// Asks `command` (nvidia-smi -L) where `devices` (/dev) has files of NVIDIA's driver. A command
// that takes longer than `limit` is killed with its children.
GpuListing list_gpus(const std::vector<std::string>& command, const std::filesystem::path& devices,
                     std::chrono::milliseconds limit);

// The NVIDIA GPUs a worker may be given, as CUDA_VISIBLE_DEVICES names them.
struct VisibleGpus {
  std::vector<std::string> names;  // empty: jobs run on the CPU
  std::vector<std::string> notes;  // for the user: GPUs are hidden, or could not be looked for
  bool numbered = true;            // the names are numbers in the order of the bus, chosen here
};
// `named`: CUDA_VISIBLE_DEVICES, nullptr where it is not set; then all GPUs are visible. CUDA hides
// the GPUs behind a name that it does not know, and a job that is given such a name would compute
// on the CPU: throws Error for a name that is none, that stands there twice, or that is not a GPU
// of the listing.
VisibleGpus visible_gpus(const char* named, const GpuListing& listing);
// Of this machine and this process's environment. Throws Error.
VisibleGpus visible_gpus();

}  // namespace tarflow::job
