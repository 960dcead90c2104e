#include "experiments/worker/environment.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <ctime>
#include <fstream>
#include <string>

#include "experiments/worker/machine.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/version.h"
#include "framework/tensor/device.h"
#ifdef TARFLOW_USE_CUDA
#include <cuda_runtime_api.h>
#endif

namespace tarflow::experiments {
namespace {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// The words of this process' command line.
Json command_line() {
  Json words = Json::array();
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  for (std::string word; std::getline(in, word, '\0');) words.push_back(word);
  return words;
}

Json versions() {
  const Build& build = this_build();
  Json json = {{"program", build.version},
               {"git_revision", build.git_revision},
               {"git_dirty", build.git_revision.ends_with("-dirty")},
               {"libtorch", libtorch_version()},
               {"compiler", __VERSION__}};
  if (!build.git_branch.empty()) json["git_branch"] = build.git_branch;
  return json;
}

// Versions of CUDA's libraries as the numbers they give themselves; {} where the build has none.
Json cuda_versions() {
  Json json = Json::object();
#ifdef TARFLOW_USE_CUDA
  int version = 0;
  if (cudaRuntimeGetVersion(&version) == cudaSuccess) json["runtime"] = version;
  if (cudaDriverGetVersion(&version) == cudaSuccess && version > 0) json["driver"] = version;
  if (at::detail::getCUDAHooks().hasCuDNN())
    json["cudnn"] = at::detail::getCUDAHooks().versionCuDNN();
  // LibTorch brings NCCL along; its headers may be absent here.
  using GetVersion = int (*)(int*);
  const auto nccl = reinterpret_cast<GetVersion>(::dlsym(RTLD_DEFAULT, "ncclGetVersion"));
  if (nccl && nccl(&version) == 0) json["nccl"] = version;
#endif
  return json;
}

Json gpu([[maybe_unused]] const at::Device& device) {
  Json json = Json::object();
#ifdef TARFLOW_USE_CUDA
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, device.index()) == cudaSuccess) {
    json = {{"name", properties.name},
            {"memory_bytes", properties.totalGlobalMem},
            {"multiprocessors", properties.multiProcessorCount},
            {"compute_capability", fmt::format("{}.{}", properties.major, properties.minor)}};
  }
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) json["visible"] = count;
  json["index"] = device.index();
  json["pci_bus_id"] = pci_bus_id(device);
#endif
  return json;
}

}  // namespace

std::string libtorch_version() { return TORCH_VERSION; }

std::string pci_bus_id([[maybe_unused]] const at::Device& device) {
#ifdef TARFLOW_USE_CUDA
  char id[32] = {};
  if (device.is_cuda() && cudaDeviceGetPCIBusId(id, sizeof id, device.index()) == cudaSuccess)
    return id;
#endif
  return "";
}

Json build_identity() {
  Json json = {{"program", this_build().version},
               {"libtorch", libtorch_version()},
               {"cpu_capability", at::get_cpu_capability()}};
  if (Json cuda = cuda_versions(); !cuda.empty()) json["cuda"] = std::move(cuda);
  try {
    json["build"] = sha256_file("/proc/self/exe").substr(0, 16);
  } catch (const Error&) {  // without /proc the revision has to do
    json["build"] = this_build().git_revision;
  }
  return json;
}

Environment::Environment(const at::Device& device) : device_(device), start_(state()) {}

Json Environment::state() const {
  Json json = machine_state();
  json["time"] = utc_now();
  if (device_.is_cuda()) {
    if (Json clocks = nvml_.state(pci_bus_id(device_)); !clocks.empty())
      json["gpu"] = std::move(clocks);
  }
  return json;
}

Json Environment::at_end() const {
  Json json = versions();
  json.update(machine());
  json.update({{"cpu", device_name(at::kCPU)},
               {"cpu_capability", at::get_cpu_capability()},
               {"threads", at::get_num_threads()},
               {"command", command_line()},
               {"at_start", start_},
               {"at_end", state()}});
  if (Json cuda = cuda_versions(); !cuda.empty()) json["cuda"] = std::move(cuda);
  if (const std::string driver = nvml_.driver(); !driver.empty()) json["gpu_driver"] = driver;
  if (device_.is_cuda()) json["gpu"] = gpu(device_);
  return json;
}

}  // namespace tarflow::experiments
