// The device and compute type a job runs on.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace tarflow {

enum class ComputeType {
  kFloat32,
  kBFloat16
};  // of linears, attention, GELU and KV (method.md section 1)

std::string to_string(ComputeType type);
// "float32", "bfloat16", or "auto": bfloat16 on a GPU (as published), float32 on a CPU. Throws
// Error.
ComputeType compute_type_from(const std::string& text, const at::Device& device);
at::ScalarType scalar_type(ComputeType type);

// "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N". Throws Error when there is no such
// device here.
at::Device device_from(const std::string& text);
// How many GPUs this process sees; 0 in a build without CUDA.
int gpu_count();
// Makes it the one that this thread's work goes to where none is named. No-op for a CPU.
void use_device(const at::Device& device);
// The device's model as people name it: "NVIDIA H200", or the CPU's name and the threads in use.
std::string device_name(const at::Device& device);

// Numbers that a job must not depend on by accident: TF32 off, so that fp32 means fp32 everywhere,
// and kBFloat16Sums.
void use_exact_float32();

// cuBLAS may split the sum of a bf16 product into parts. Each part is added up in fp32. If this is
// true, cuBLAS may round the parts to bf16 before it adds them; if false, it adds them in fp32.
// Few rows (single steps) are split, so this is a matter of sequential sampling first of all. On an
// H200 neither the time nor the error against fp32 differed in the three digits that were shown, so
// the choice is the one without a further rounding.
inline constexpr bool kBFloat16Sums = false;
// Chooses it for this process; for measurements and tests. Products that are recorded in CUDA
// graphs stay as they were chosen when they were recorded.
void use_bfloat16_sums(bool allowed);
bool bfloat16_sums();

// Within its scope LibTorch takes kernels that add in one order, where it has the choice: the
// backward pass of attention on a GPU otherwise gives other last bits in every run. For one thread
// at a time; put back afterwards.
class RepeatableKernels {
 public:
  RepeatableKernels();
  ~RepeatableKernels();
  RepeatableKernels(const RepeatableKernels&) = delete;
  RepeatableKernels& operator=(const RepeatableKernels&) = delete;

 private:
  bool repeatable_, warn_only_, fill_;  // as they were
};

// Waits until the device has done all it was given. No-op on a CPU.
void synchronize(const at::Device& device);

}  // namespace tarflow
