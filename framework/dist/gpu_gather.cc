#include "framework/dist/gpu_gather.h"

#include "framework/core/error.h"

#ifdef TARFLOW_USE_CUDA
#define USE_C10D_NCCL  // the wheel's libtorch_cuda has it
#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>

#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <utility>
#endif

namespace tarflow::dist {

#ifdef TARFLOW_USE_CUDA
namespace {

class NcclGather : public GpuGather {
 public:
  NcclGather(const StoreLink& link, int rank, int size, const at::Device& device,
             std::chrono::milliseconds limit)
      : rank_(rank), size_(size), device_(device) {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    // Whoever calls has limits of its own and comes first; NCCL's would end the process
    // unexplained.
    options->timeout = 2 * limit + std::chrono::minutes(10);
    const c10::cuda::CUDAGuard guard(device_);
    group_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(
        c10::make_intrusive<c10d::PrefixStore>(
            "nccl", c10::intrusive_ptr<c10d::Store>::reclaim_copy(&link.store())),
        rank, size, std::move(options));
  }
  ~NcclGather() override {
    try {
      group_->shutdown();
    } catch (const std::exception&) {  // the ranks are ending
    }
  }

  std::vector<at::Tensor> gather(const at::Tensor& bytes,
                                 const std::function<bool()>& given_up) override {
    const c10::cuda::CUDAGuard guard(device_);
    std::vector<at::Tensor> inputs = {bytes};
    std::vector<std::vector<at::Tensor>> outputs;
    if (rank_ == 0) {
      outputs.emplace_back();
      for (int other = 0; other < size_; ++other) outputs[0].push_back(at::empty_like(bytes));
    }
    c10d::GatherOptions options;
    options.rootRank = 0;
    const c10::intrusive_ptr<c10d::Work> work = group_->gather(outputs, inputs, options);
    while (!work->isCompleted()) {
      if (given_up()) return {};
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    if (work->exception()) std::rethrow_exception(work->exception());
    work->wait();  // the current stream comes after it
    return rank_ == 0 ? outputs[0] : std::vector<at::Tensor>{};
  }

  void begin_sum(const at::Tensor& tensor) override {
    const c10::cuda::CUDAGuard guard(device_);
    std::vector<at::Tensor> tensors = {tensor};
    sums_.push_back(group_->allreduce(tensors));
  }

  void finish_sums(const std::function<bool()>& given_up) override {
    const c10::cuda::CUDAGuard guard(device_);
    for (const c10::intrusive_ptr<c10d::Work>& work : std::exchange(sums_, {})) {
      while (!work->isCompleted()) {
        if (given_up()) return;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
      if (work->exception()) std::rethrow_exception(work->exception());
      work->wait();  // the current stream comes after it
    }
  }

 private:
  const int rank_, size_;
  const at::Device device_;
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> group_;
  std::vector<c10::intrusive_ptr<c10d::Work>> sums_;  // begun
};

}  // namespace

std::unique_ptr<GpuGather> nccl_gather(const StoreLink& link, int rank, int size,
                                       const at::Device& device, std::chrono::milliseconds limit) {
  return std::make_unique<NcclGather>(link, rank, size, device, limit);
}

#else

std::unique_ptr<GpuGather> nccl_gather(const StoreLink&, int, int, const at::Device&,
                                       std::chrono::milliseconds) {
  throw Error("tensors of GPUs cannot go from rank to rank: this build has no CUDA",
              "build with -DTARFLOW_CUDA=ON");
}

#endif

}  // namespace tarflow::dist
