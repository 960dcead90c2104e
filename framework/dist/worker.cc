#include "framework/dist/worker.h"

#include <stdexcept>
#include <utility>

namespace tarflow::dist {

struct Worker::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<void()> task;
  std::exception_ptr thrown;
  bool busy = false, stop = false;

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return busy || stop; });
      if (!busy) return;
      lock.unlock();
      std::exception_ptr failure;
      try {
        task();
      } catch (...) {
        failure = std::current_exception();
      }
      task = nullptr;
      lock.lock();
      thrown = failure;
      busy = false;
      changed.notify_all();
    }
  }
};

Worker::Worker() : state_(std::make_shared<State>()) {
  thread_ = std::thread([state = state_] { state->work(); });
}

Worker::~Worker() {
  std::unique_lock lock(state_->mutex);
  state_->stop = true;
  state_->changed.notify_all();
  const bool idle =
      state_->changed.wait_for(lock, std::chrono::seconds(1), [&] { return !state_->busy; });
  lock.unlock();
  idle ? thread_.join() : thread_.detach();
}

void Worker::run(std::function<void()> task, const std::function<void()>& look) {
  std::unique_lock lock(state_->mutex);
  if (state_->busy) throw std::logic_error("the worker is still at a task that was given up");
  state_->task = std::move(task);
  state_->busy = true;
  state_->changed.notify_all();
  while (!state_->changed.wait_for(lock, std::chrono::milliseconds(30),
                                   [&] { return !state_->busy; })) {
    lock.unlock();
    look();
    lock.lock();
  }
  if (state_->thrown) std::rethrow_exception(std::exchange(state_->thrown, nullptr));
}

}  // namespace tarflow::dist
