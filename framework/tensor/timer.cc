#include "framework/tensor/timer.h"

#include <chrono>

#include "framework/core/error.h"

#ifdef TARFLOW_USE_CUDA
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#endif

namespace tarflow {
namespace {

using Clock = std::chrono::steady_clock;

#ifdef TARFLOW_USE_CUDA
void require(cudaError_t status) {
  if (status == cudaSuccess) return;
  throw Error(fmt::format("the GPU cannot be timed: {}", cudaGetErrorString(status)));
}
#endif

}  // namespace

struct DeviceTimer::State {
  at::Device device;
  std::vector<Clock::time_point> times;
#ifdef TARFLOW_USE_CUDA
  std::vector<cudaEvent_t> events;
#endif
};

DeviceTimer::DeviceTimer(const at::Device& device) : state_(std::make_unique<State>(device)) {}

DeviceTimer::~DeviceTimer() {
#ifdef TARFLOW_USE_CUDA
  for (const cudaEvent_t event : state_->events) cudaEventDestroy(event);
#endif
}

void DeviceTimer::mark() {
#ifdef TARFLOW_USE_CUDA
  if (state_->device.is_cuda()) {
    cudaEvent_t event{};
    require(cudaEventCreate(&event));
    state_->events.push_back(event);
    require(cudaEventRecord(event, c10::cuda::getCurrentCUDAStream(state_->device.index())));
    return;
  }
#endif
  state_->times.push_back(Clock::now());
}

std::vector<double> DeviceTimer::seconds() const {
  std::vector<double> seconds;
#ifdef TARFLOW_USE_CUDA
  for (size_t i = 1; i < state_->events.size(); ++i) {
    require(cudaEventSynchronize(state_->events[i]));
    float milliseconds = 0;
    require(cudaEventElapsedTime(&milliseconds, state_->events[i - 1], state_->events[i]));
    seconds.push_back(1e-3 * static_cast<double>(milliseconds));
  }
#endif
  for (size_t i = 1; i < state_->times.size(); ++i) {
    seconds.push_back(
        std::chrono::duration<double>(state_->times[i] - state_->times[i - 1]).count());
  }
  return seconds;
}

}  // namespace tarflow
