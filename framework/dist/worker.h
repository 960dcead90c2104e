// A thread that does what may wait forever, so that its caller need not.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace tarflow::dist {

class Worker {
 public:
  Worker();
  // Leaves a thread that is still busy to itself.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs `task` on the thread; calls `look` every few hundredths of a second while it lasts.
  // Throws what the task throws, or what `look` throws: then the task goes on with whatever it
  // holds, and the worker takes no other.
  void run(std::function<void()> task, const std::function<void()>& look);

 private:
  struct State;

  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace tarflow::dist
