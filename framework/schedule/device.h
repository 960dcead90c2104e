// The model of the device that workers compute on.
#pragma once

#include <string>
#include <vector>

namespace tarflow::schedule {

// Model of the first NVIDIA GPU a worker would see, else of the CPU; "unknown" where neither tells.
// Two machines with the same answer may share timings.
std::string device_model();

// "model name" of the first processor in the text of /proc/cpuinfo, "" without one.
std::string cpu_model(const std::string& cpuinfo);
// "Model:" in the text of /proc/driver/nvidia/gpus/*/information, "" without one.
std::string gpu_model(const std::string& information);
// Of the first GPU in what `nvidia-smi -L` prints: "GPU 0: NVIDIA H100 (UUID: ...)".
std::string listed_gpu_model(const std::string& listing);

// What timings are told apart by.
struct DeviceModels {
  std::string first;  // of the device a worker takes by itself: a GPU where there is one
  std::string cpu;

  DeviceModels(std::string all) : first(all), cpu(std::move(all)) {}  // NOLINT: one for both
  DeviceModels(std::string first_one, std::string of_cpu)
      : first(std::move(first_one)), cpu(std::move(of_cpu)) {}
};
DeviceModels device_models();

// The NVIDIA GPUs a worker may be given, as CUDA_VISIBLE_DEVICES names them: what that variable
// lists when it is set, else their numbers. Empty where there are none.
std::vector<std::string> visible_gpus();
// Of what `nvidia-smi -L` prints: how many GPUs.
size_t listed_gpu_count(const std::string& listing);

}  // namespace tarflow::schedule
