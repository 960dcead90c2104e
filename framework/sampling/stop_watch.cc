#include "framework/sampling/stop_watch.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "framework/kernels/residual.h"

namespace tarflow {

StopWatch::StopWatch(const BlockStrategy& plan, const Iterate& iterate, int lag)
    : plan_(plan),
      iterate_(iterate),
      lag_(static_cast<size_t>(lag)),
      history_(at::zeros({plan.max_iterations}, iterate.change.options())) {}

void StopWatch::start() {
  looks_.clear();
  iterate_.change.zero_();
  iterate_.done.zero_();
  iterate_.stopped.zero_();
}

bool StopWatch::judge() {
  kernels::Residual work;
  work.change = iterate_.change;
  work.history = history_;
  work.done = iterate_.done;
  work.stopped = iterate_.stopped;
  work.elements = static_cast<double>(iterate_.x.size(0) * iterate_.x.size(2));
  work.stops = plan_.stop == StopRule::kPublished;
  work.threshold = plan_.stop_threshold;
  kernels::residual(work);
  if (!work.stops) return false;
  const at::Device device = iterate_.stopped.device();
  looks_.push_back({at::empty({1}, at::TensorOptions(at::kInt).pinned_memory(device.is_cuda())),
                    c10::Event(device.type())});
  looks_.back().stopped.copy_(iterate_.stopped, /*non_blocking=*/true);
  if (device.is_cuda()) {
    looks_.back().event.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  }
  if (looks_.size() <= lag_) return false;
  const bool seen = stopped(looks_.front());
  looks_.pop_front();
  return seen;
}

bool StopWatch::stopped(Look& look) const {
  if (iterate_.stopped.is_cuda()) look.event.synchronize();
  return *look.stopped.const_data_ptr<int>() != 0;
}

int StopWatch::finish(std::vector<double>& residuals) {
  const int done = iterate_.done.item<int>();
  const at::Tensor values = history_.slice(0, 0, done).cpu();
  const double* const first = values.const_data_ptr<double>();
  residuals.insert(residuals.end(), first, first + done);
  looks_.clear();
  return done;
}

}  // namespace tarflow
