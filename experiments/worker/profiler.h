// Where the time of a stretch of work goes, kernel by kernel.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tarflow::experiments {

// Kernels of one name. On a CPU operations and named ranges, without what they call.
struct KernelTime {
  double calls = 0, seconds = 0;
};

// By name; of a GPU also kNoKernel.
using Profile = std::map<std::string, KernelTime>;

// What a profile calls the time between kernels in which none was running.
inline constexpr const char* kNoKernel = "no kernel";

// Seconds between the first start and the last end that no span covers; spans in nanoseconds.
double seconds_between(std::vector<std::pair<uint64_t, uint64_t>> spans);

// "gemm", "attention", "norm", "gelu", "update", "copy", "framework" (a CPU's ranges, kNoKernel)
// or "other", by what names of kernels hold.
std::string kernel_kind(const std::string& name);

// The kernels of a profile for a record, the longest first.
struct KernelLists {
  std::vector<std::string> names, kinds;
  std::vector<double> seconds, calls;
  std::map<std::string, double> of_kind;  // seconds
  double all = 0;                         // seconds
};
// Of one of `parts` equal parts of what was watched, a step of several; the sums are of all.
KernelLists kernel_lists(const Profile& profile, double parts = 1);

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
