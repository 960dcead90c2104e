// A number on the device that the host reads a few evaluations late, without waiting for the device
// to be idle.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace tarflow {

class DeviceLook {
 public:
  // `number` (1) is of any integer type; the value is read as it is after what the device was given
  // before look().
  DeviceLook(const at::Tensor& number, size_t lag);

  // Asks for the number as it is now. Gives the number of the look `lag` calls ago, once the device
  // has come so far; nothing before that.
  std::optional<int64_t> look();
  // What was asked for before is forgotten.
  void forget() { looks_.clear(); }

 private:
  struct Look {
    at::Tensor copy;
    c10::Event event;
  };

  at::Tensor number_;
  size_t lag_;
  std::vector<at::Tensor> copies_;  // lag + 1 of them, used in turn
  size_t next_ = 0;
  std::deque<Look> looks_;
};

}  // namespace tarflow
