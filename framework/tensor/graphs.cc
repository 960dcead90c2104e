#include "framework/tensor/graphs.h"

#ifdef TARFLOW_USE_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace tarflow {

#ifdef TARFLOW_USE_CUDA

struct Graphs::Pool {
  explicit Pool(const at::Device& device)
      : stream(c10::cuda::getStreamFromPool(false, device.index())),
        memory(at::cuda::graph_pool_handle()) {}

  c10::cuda::CUDAStream stream;  // the default stream cannot be recorded
  at::MempoolId_t memory;
};

struct Graphs::Record {
  // Only what this thread gives to this stream is recorded; nothing is run.
  void record(const Pool& pool, const std::function<void()>& work) {
    const c10::cuda::CUDAStreamGuard guard(pool.stream);
    graph.capture_begin(pool.memory, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      try {
        graph.capture_end();
      } catch (const std::exception&) {  // the first failure is the one to tell
      }
      throw;
    }
    graph.capture_end();
  }

  at::cuda::CUDAGraph graph;
};

Graphs::Graphs(const at::Device& device)
    : device_(device), pool_(device.is_cuda() ? std::make_unique<Pool>(device) : nullptr) {}

void Graphs::run(const std::vector<int64_t>& key, const std::function<void()>& work) {
  if (!pool_) return work();
  const c10::cuda::CUDAGuard guard(device_);
  const auto found = records_.find(key);
  if (found == records_.end()) {
    work();
    if (records_.size() < kMost) records_.emplace(key, nullptr);
    return;
  }
  if (!found->second) {
    auto record = std::make_unique<Record>();
    try {
      record->record(*pool_, work);
    } catch (...) {
      // A recording that fails may give the pool up.
      pool_->memory = at::cuda::graph_pool_handle();
      throw;
    }
    found->second = std::move(record);
  }
  found->second->graph.replay();
}

#else

struct Graphs::Pool {};
struct Graphs::Record {};

Graphs::Graphs(const at::Device& device) : device_(device) {}

void Graphs::run(const std::vector<int64_t>&, const std::function<void()>& work) { work(); }

#endif

Graphs::~Graphs() = default;

}  // namespace tarflow
