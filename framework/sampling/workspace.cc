#include "framework/sampling/workspace.h"

#include <ATen/ATen.h>

namespace tarflow {

Workspace::Workspace(const at::Device& device, int64_t capacity)
    : device_(device), capacity_(capacity), graphs_(device) {}

Iterate& Workspace::begin(const at::Tensor& z) {
  images_ = z.size(0);
  const std::vector<int64_t> tokens = {z.size(1), z.size(2)};
  iterate_.z = rows("z", tokens, at::kFloat);
  iterate_.x = rows("x", tokens, at::kFloat);
  iterate_.change = rows("change", {}, at::kDouble);
  iterate_.stopped = rows("stopped", {}, at::kInt);
  iterate_.statistics = at::Tensor();
  if (!iterate_.finished.defined()) {
    const auto flag = at::TensorOptions().device(device_).dtype(at::kInt);
    iterate_.finished = at::zeros({1}, flag);
    iterate_.done = at::zeros({1}, flag);
    counter_ = at::zeros({1}, flag.dtype(at::kLong));
  }
  iterate_.z.copy_(z);
  return iterate_;
}

at::Tensor Workspace::rows(const std::string& name, at::IntArrayRef shape, at::ScalarType type) {
  std::vector<int64_t> sizes = {capacity_};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  return room(name + " of images", sizes, type).slice(0, 0, images_);
}

at::Tensor Workspace::room(const std::string& name, at::IntArrayRef shape, at::ScalarType type) {
  // Another shape gets memory of its own: a graph may use the first one.
  std::string key = name + " " + c10::toString(type);
  for (const int64_t size : shape) key += " " + std::to_string(size);
  at::Tensor& room = rooms_[key];
  if (!room.defined()) room = at::zeros(shape, at::TensorOptions().device(device_).dtype(type));
  return room;
}

at::Tensor Workspace::set_counter(int64_t first) {
  if (next_ != first) counter_.fill_(first);
  next_ = -1;  // not known until the device has the step
  return counter_;
}

}  // namespace tarflow
