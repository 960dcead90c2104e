#include "framework/tensor/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "framework/core/error.h"
#ifdef TARFLOW_USE_CUDA
#include <cuda_runtime_api.h>
#endif

namespace tarflow {
namespace {

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

#ifdef TARFLOW_USE_CUDA
// Throws Error if the environment names GPUs and CUDA finds none: the user did not choose the CPU.
// An empty text, -1 and Slurm's NoDevFiles name no GPU.
void require_no_named_gpu() {
  const char* named = std::getenv("CUDA_VISIBLE_DEVICES");
  const std::string text = named ? named : "";
  if (text.find_first_not_of(' ') == std::string::npos || text == "-1" || text == "NoDevFiles")
    return;
  throw Error(fmt::format("CUDA_VISIBLE_DEVICES is `{}`, but CUDA sees no GPU", text),
              "see `nvidia-smi -L` for the GPUs of the machine and for their driver; set the "
              "variable to an empty text to use the CPU");
}
#endif

}  // namespace

int gpu_count() {
  return at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
}

void use_device([[maybe_unused]] const at::Device& device) {
#ifdef TARFLOW_USE_CUDA
  if (device.is_cuda()) cudaSetDevice(device.index());
#endif
}

std::string to_string(ComputeType type) {
  return type == ComputeType::kFloat32 ? "float32" : "bfloat16";
}

ComputeType compute_type_from(const std::string& text, const at::Device& device) {
  if (text == "float32") return ComputeType::kFloat32;
  if (text == "bfloat16") return ComputeType::kBFloat16;
  if (text == "auto") return device.is_cuda() ? ComputeType::kBFloat16 : ComputeType::kFloat32;
  throw Error(fmt::format("`{}` is not a compute type", text), "valid: float32, bfloat16, auto");
}

at::ScalarType scalar_type(ComputeType type) {
  return type == ComputeType::kFloat32 ? at::kFloat : at::kBFloat16;
}

at::Device device_from(const std::string& text) {
  const int gpus = gpu_count();
#ifdef TARFLOW_USE_CUDA
  if (text == "auto" && gpus == 0) require_no_named_gpu();
#endif
  if (text == "auto") return gpus > 0 ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  if (text == "cpu") return at::Device(at::kCPU);
  if (text == "cuda" || text.starts_with("cuda:")) {
    const std::string digits = text == "cuda" ? "0" : text.substr(5);
    const bool number = !digits.empty() && digits.size() < 4 &&
                        digits.find_first_not_of("0123456789") == std::string::npos;
    if (number && std::stoi(digits) < gpus)
      return at::Device(at::kCUDA, static_cast<int8_t>(std::stoi(digits)));
    if (number) {
      throw Error(
          fmt::format("device {} was asked for, but this build sees {} GPU{}", text, gpus,
                      gpus == 1 ? "" : "s"),
          "use `device: auto` or `device: cpu`, or run on a machine with a GPU and a CUDA build");
    }
  }
  throw Error(fmt::format("`{}` is not a device", text), "valid: auto, cpu, cuda, cuda:N");
}

std::string device_name([[maybe_unused]] const at::Device& device) {
#ifdef TARFLOW_USE_CUDA
  if (device.is_cuda()) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, device.index()) == cudaSuccess) return properties.name;
    return "CUDA device";
  }
#endif
  return fmt::format("{}, {} threads", cpu_name(), at::get_num_threads());
}

void use_exact_float32() {
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  use_bfloat16_sums(kBFloat16Sums);
}

void use_bfloat16_sums(bool allowed) {
  at::globalContext().setAllowBF16ReductionCuBLAS(allowed, /*allow_splitk=*/true);
}

bool bfloat16_sums() {
  return at::globalContext().allowBF16ReductionCuBLAS() ==
         at::CuBLASReductionOption::AllowReducedPrecisionWithSplitK;
}

RepeatableKernels::RepeatableKernels()
    : repeatable_(at::globalContext().deterministicAlgorithms()),
      warn_only_(at::globalContext().deterministicAlgorithmsWarnOnly()),
      fill_(at::globalContext().deterministicFillUninitializedMemory()) {
  // With warn_only, attention would warn and keep its kernel.
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  // Otherwise LibTorch would fill every new tensor.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

RepeatableKernels::~RepeatableKernels() {
  at::globalContext().setDeterministicAlgorithms(repeatable_, warn_only_);
  at::globalContext().setDeterministicFillUninitializedMemory(fill_);
}

void synchronize(const at::Device& device) {
#ifdef TARFLOW_USE_CUDA
  if (device.is_cuda()) {
    cudaSetDevice(device.index());
    if (const cudaError_t failed = cudaDeviceSynchronize(); failed != cudaSuccess) {
      throw Error(fmt::format("the GPU failed: {}", cudaGetErrorString(failed)));
    }
  }
#else
  (void)device;
#endif
}

}  // namespace tarflow
