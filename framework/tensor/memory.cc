#include "framework/tensor/memory.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>

#ifdef TARFLOW_USE_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>
#endif

namespace tarflow {
namespace {

// LibTorch's CPU allocator reports to the counter that is set for the thread.
class Counter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* /*ptr*/, int64_t bytes, size_t /*allocated*/, size_t /*reserved*/,
                         at::Device device) override {
    if (!device.is_cpu()) return;
    now_ += bytes;  // negative when freed
    peak_ = std::max(peak_, now_);
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t peak() const { return peak_; }
  int64_t held() const { return now_; }

 private:
  int64_t now_ = 0, peak_ = 0;
};

#ifdef TARFLOW_USE_CUDA
int64_t allocated(const at::Device& device, bool peak) {
  constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  return peak ? stats.allocated_bytes[kAll].peak : stats.allocated_bytes[kAll].current;
}
#endif

}  // namespace

std::optional<int64_t> free_memory([[maybe_unused]] const at::Device& device) {
#ifdef TARFLOW_USE_CUDA
  if (device.is_cuda()) {
    size_t free = 0, total = 0;
    if (cudaSetDevice(device.index()) != cudaSuccess ||
        cudaMemGetInfo(&free, &total) != cudaSuccess) {
      return std::nullopt;
    }
    constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
    return static_cast<int64_t>(free) + stats.reserved_bytes[kAll].current -
           stats.allocated_bytes[kAll].current;
  }
#endif
  return std::nullopt;
}

void release_unused_memory([[maybe_unused]] const at::Device& device) {
#ifdef TARFLOW_USE_CUDA
  if (device.is_cuda()) c10::cuda::CUDACachingAllocator::emptyCache();
#endif
}

struct MemoryMeter::State {
  at::Device device;
  int64_t before = 0;
  std::shared_ptr<Counter> counter;
  std::optional<c10::DebugInfoGuard> guard;
};

MemoryMeter::MemoryMeter(const at::Device& device) : state_(std::make_unique<State>(device)) {
#ifdef TARFLOW_USE_CUDA
  if (device.is_cuda()) {
    c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
    state_->before = allocated(device, false);
    return;
  }
#endif
  // LibTorch's profiler has the same place, and takes what it finds there for its own.
  if (c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::PROFILER_STATE)) return;
  state_->counter = std::make_shared<Counter>();
  state_->guard.emplace(c10::DebugInfoKind::PROFILER_STATE, state_->counter);
}

MemoryMeter::~MemoryMeter() = default;

int64_t MemoryMeter::peak() const {
#ifdef TARFLOW_USE_CUDA
  if (state_->device.is_cuda()) return allocated(state_->device, true) - state_->before;
#endif
  return state_->counter ? state_->counter->peak() : 0;
}

int64_t MemoryMeter::held() const {
#ifdef TARFLOW_USE_CUDA
  if (state_->device.is_cuda()) return allocated(state_->device, false) - state_->before;
#endif
  return state_->counter ? state_->counter->held() : 0;
}

}  // namespace tarflow
