// The device and the compute type of a job.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace tarflow {

// The type of linear layers, attention, GELU, keys and values (method.md section 1).
enum class ComputeType { kFloat32, kBFloat16 };

std::string to_string(ComputeType type);
// "float32", "bfloat16", or "auto": bfloat16 on a GPU (as published), float32 on a CPU. Throws
// Error for another text.
ComputeType compute_type_from(const std::string& text, const at::Device& device);
at::ScalarType scalar_type(ComputeType type);

// "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N". Throws Error if this machine has no
// such device.
at::Device device_from(const std::string& text);
// The number of GPUs that this process sees; 0 in a build without CUDA.
int gpu_count();
// Makes `device` the current device of this thread: work that names no device runs there. No-op for
// a CPU.
void use_device(const at::Device& device);
// The name of the device's model: "NVIDIA H200", or the CPU's name and the number of threads.
std::string device_name(const at::Device& device);

// Sets LibTorch's switches for arithmetic, so that numbers do not depend on its defaults. TF32 is
// off: fp32 means fp32 everywhere. bf16 products follow kBFloat16Sums.
void use_exact_float32();

// cuBLAS may split the sum of a bf16 product into parts. Each part is added up in fp32. If this is
// true, cuBLAS may round the parts to bf16 before it adds them; if false, it adds them in fp32.
// cuBLAS splits products of few rows, which are the single steps of sequential sampling. On an H200
// both values gave the same time and the same error against fp32 in three digits. The chosen value
// has one rounding less.
inline constexpr bool kBFloat16Sums = false;
// Sets the switch for this process; for measurements and tests. Products in recorded CUDA graphs
// keep the value of the time of their recording.
void use_bfloat16_sums(bool allowed);
bool bfloat16_sums();

// Within its scope LibTorch chooses kernels that add in a fixed order. Without it the backward pass
// of attention on a GPU has other last bits in every run. Only one thread may use it at a time. The
// destructor restores the switches.
class RepeatableKernels {
 public:
  RepeatableKernels();
  ~RepeatableKernels();
  RepeatableKernels(const RepeatableKernels&) = delete;
  RepeatableKernels& operator=(const RepeatableKernels&) = delete;

 private:
  bool repeatable_, warn_only_, fill_;  // the switches before
};

// Waits until the device has finished all its work. No-op on a CPU.
void synchronize(const at::Device& device);

}  // namespace tarflow
