#include "experiments/environment.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <ctime>

#include "experiments/git_revision.h"
#include "framework/tensor/device.h"
#ifdef TARFLOW_USE_CUDA
#include <cuda_runtime_api.h>
#endif

namespace tarflow::experiments {
namespace {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

Json environment() {
  Json json = {{"program", TARFLOW_VERSION},
               {"git_revision", TARFLOW_GIT_REVISION},
               {"libtorch", TORCH_VERSION},
               {"compiler", __VERSION__},
               {"host", host_name()},
               {"written", utc_now()},
               {"cpu", device_name(at::kCPU)},
               {"threads", at::get_num_threads()},
               {"cpu_capability", at::get_cpu_capability()}};
#ifdef TARFLOW_USE_CUDA
  int runtime = 0, driver = 0;
  if (cudaRuntimeGetVersion(&runtime) == cudaSuccess) json["cuda_runtime"] = runtime;
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) json["cuda_driver"] = driver;
#endif
  return json;
}

}  // namespace tarflow::experiments
