// Times of successive pieces of work on a device.
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <vector>

namespace tarflow {

// On a GPU by events in its stream, which cost the host no wait; on a CPU by the steady clock.
class DeviceTimer {
 public:
  explicit DeviceTimer(const at::Device& device);
  ~DeviceTimer();
  DeviceTimer(const DeviceTimer&) = delete;
  DeviceTimer& operator=(const DeviceTimer&) = delete;

  void mark();
  // Seconds between successive marks, one fewer than there are marks; waits for the last.
  std::vector<double> seconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tarflow
