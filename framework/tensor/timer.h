// Times of successive pieces of work on a device.
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <vector>

namespace tarflow {

// A GPU is timed by events in its stream: the host does not wait for them. A CPU is timed by the
// steady clock.
class DeviceTimer {
 public:
  explicit DeviceTimer(const at::Device& device);
  ~DeviceTimer();
  DeviceTimer(const DeviceTimer&) = delete;
  DeviceTimer& operator=(const DeviceTimer&) = delete;

  void mark();
  // Seconds between successive marks: one value fewer than marks. Waits for the last mark.
  std::vector<double> seconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tarflow
