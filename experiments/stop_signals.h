// Requests to stop, taken by a thread of their own so that no handler runs amid other work.
#pragma once

#include <atomic>
#include <memory>

namespace tarflow::experiments {

// From its construction on, SIGTERM, SIGUSR2 and (unless it is ignored) SIGINT ask the experiment
// to stop at its next boundary; a second SIGTERM or SIGINT ends the process at once. To be made
// before any other thread, which would not hold the signals back.
class StopSignals {
 public:
  StopSignals();

  bool requested() const { return requested_->load(); }

 private:
  std::shared_ptr<std::atomic<bool>> requested_;  // the thread outlives main's values
};

}  // namespace tarflow::experiments
