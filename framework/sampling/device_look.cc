#include "framework/sampling/device_look.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace tarflow {

DeviceLook::DeviceLook(const at::Tensor& number, size_t lag) : number_(number), lag_(lag) {
  for (size_t i = 0; i <= lag; ++i)
    copies_.push_back(at::empty({1}, at::TensorOptions(number.scalar_type())
                                         .pinned_memory(number.is_cuda())));
}

std::optional<int64_t> DeviceLook::look() {
  const at::Device device = number_.device();
  looks_.push_back({copies_[next_], c10::Event(device.type())});
  next_ = (next_ + 1) % copies_.size();
  Look& last = looks_.back();
  last.copy.copy_(number_, /*non_blocking=*/true);
  if (device.is_cuda())
    last.event.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  if (looks_.size() <= lag_) return std::nullopt;
  if (device.is_cuda()) looks_.front().event.synchronize();
  const int64_t value = looks_.front().copy.item<int64_t>();
  looks_.pop_front();
  return value;
}

}  // namespace tarflow
