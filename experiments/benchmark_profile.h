// Where the time of a stretch of work goes, kernel by kernel.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace tarflow::experiments {

// Kernels of one name. On a CPU operations and named ranges, without what they call.
struct KernelTime {
  double calls = 0, seconds = 0;
};

// By name.
using Profile = std::map<std::string, KernelTime>;

// "gemm", "attention", "norm", "gelu", "update", "copy", "framework" (of the CPU's ranges) or
// "other", by what names of kernels hold.
std::string kernel_kind(const std::string& name);

// Collects from construction on what LibTorch's profiler (Kineto) sees: a GPU's kernels and copies,
// or the operations and ranges of this thread on a CPU, where all threads do alike. One at a time.
class Profiler {
 public:
  explicit Profiler(const at::Device& device);
  ~Profiler();  // drops what was not asked for
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  // Ends the collection. Empty where the profiler sees nothing of the device.
  Profile finish();

 private:
  at::Device device_;
  bool running_ = true;
};

}  // namespace tarflow::experiments
