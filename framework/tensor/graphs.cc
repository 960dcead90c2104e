#include "framework/tensor/graphs.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#ifdef TARFLOW_USE_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <mutex>
#endif

namespace tarflow {

#ifdef TARFLOW_USE_CUDA
namespace {

std::mutex recording;  // one recording at a time: all of a device's use one stream

// The stream on which this device's work is recorded, since the default stream cannot be. There is
// one, because cuBLAS keeps work space for each stream that it has seen (32 MiB on Hopper).
c10::cuda::CUDAStream recording_stream(const at::Device& device) {
  static std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  const auto found = streams.find(device.index());
  if (found != streams.end()) return found->second;
  return streams.emplace(device.index(), c10::cuda::getStreamFromPool(false, device.index()))
      .first->second;
}

class CudaRecorder {
 public:
  explicit CudaRecorder(const at::Device& device)
      : device_(device), memory_(at::cuda::graph_pool_handle()) {}

  // Only what this thread gives to this stream is recorded; nothing is run.
  Graphs::Replay record(const Graphs::Work& work) {
    const std::lock_guard lock(recording);
    const c10::cuda::CUDAStreamGuard guard(recording_stream(device_));
    const auto graph = std::make_shared<at::cuda::CUDAGraph>();
    graph->capture_begin(memory_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      try {
        graph->capture_end();
      } catch (const std::exception&) {  // the first failure is the one to tell
      }
      memory_ = at::cuda::graph_pool_handle();  // a recording that fails may give the pool up
      throw;
    }
    graph->capture_end();
    return [graph, device = device_] {
      const c10::cuda::CUDAGuard guard(device);
      graph->replay();
    };
  }

 private:
  at::Device device_;
  at::MempoolId_t memory_;
};

Graphs::Recorder recorder_for(const at::Device& device) {
  if (!device.is_cuda()) return {};
  const auto recorder = std::make_shared<CudaRecorder>(device);
  return [recorder](const Graphs::Work& work) { return recorder->record(work); };
}

}  // namespace
#else
namespace {
Graphs::Recorder recorder_for(const at::Device&) { return {}; }
}  // namespace
#endif

Graphs::Graphs(const at::Device& device) : recorder_(recorder_for(device)) {}

Graphs::Graphs(Recorder recorder) : recorder_(std::move(recorder)) {}

Graphs::~Graphs() = default;

void Graphs::run(const Key& key, const Work& work) {
  if (!recorder_) return work();
  const auto found = places_.find(key);
  if (found == places_.end()) {
    work();
    if (entries_.size() >= kMost) forget_oldest();
    entries_.push_front({key, {}});
    places_.emplace(key, entries_.begin());
    return;
  }
  Entry& entry = *found->second;
  entries_.splice(entries_.begin(), entries_, found->second);
  if (!entry.replay) entry.replay = recorder_(work);
  entry.replay();
}

void Graphs::forget_oldest() {
  if (!std::exchange(said_, true)) {
    fmt::print(stderr,
               "More than {} kinds of GPU work take turns: those not used for the longest time are "
               "recorded again, which is slower. Fewer segments avoid it.\n",
               kMost);
  }
  places_.erase(entries_.back().key);
  entries_.pop_back();
}

}  // namespace tarflow
