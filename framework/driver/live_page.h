// The report of a sweep while it runs: made anew now and then, between jobs.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

namespace tarflow::driver {

// Calls `make` when told that a job ended, but at most every `interval`, and no more than a
// twentieth of the time, however long it takes. It runs while the job that ended has left its
// device and before the next one starts, so that no timed job has it beside itself.
class LivePage {
 public:
  using Clock = std::chrono::steady_clock;

  LivePage(std::function<void()> make, std::chrono::milliseconds interval,
           std::function<Clock::time_point()> now = Clock::now)
      : make_(std::move(make)),
        now_(std::move(now)),
        interval_(interval),
        due_(now_() + interval) {}

  void job_ended() {
    const Clock::time_point start = now_();
    if (start < due_) return;
    make_();
    const Clock::time_point end = now_();
    due_ = end + std::max<Clock::duration>(interval_, 20 * (end - start));
  }

 private:
  std::function<void()> make_;
  std::function<Clock::time_point()> now_;
  std::chrono::milliseconds interval_;
  Clock::time_point due_;
};

}  // namespace tarflow::driver
