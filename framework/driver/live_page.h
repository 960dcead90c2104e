// The report of a sweep while it runs: made again now and then, aside.
#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <utility>

namespace tarflow::driver {

// How a page is made in a process of its own.
struct PageMaker {
  std::function<void()> begin;
  std::function<bool()> ended;  // true once, when it has come to its end
  std::function<void()> stop;   // ends it at once
};

// Makes the page after a job has ended, but at most every `interval`, and no more than a twentieth
// of the time, however long it takes.
class LivePage {
 public:
  using Clock = std::chrono::steady_clock;

  LivePage(PageMaker maker, std::chrono::milliseconds interval,
           std::function<Clock::time_point()> now = Clock::now)
      : maker_(std::move(maker)),
        now_(std::move(now)),
        interval_(interval),
        due_(now_() + interval) {}
  ~LivePage() {
    if (making_) maker_.stop();
  }
  LivePage(const LivePage&) = delete;
  LivePage& operator=(const LivePage&) = delete;

  void job_ended() { wanted_ = true; }

  // To be called some times a second; `quiet`: no job runs here whose time counts. Whether the page
  // is being made, so that no such job may begin.
  bool look(bool quiet) {
    if (making_ && maker_.ended()) {
      making_ = false;
      due_ = now_() + std::max<Clock::duration>(interval_, 20 * (now_() - begin_));
    }
    if (!making_ && wanted_ && quiet && now_() >= due_) {
      wanted_ = false;
      begin_ = now_();
      try {
        maker_.begin();
        making_ = true;
      } catch (const std::exception&) {  // too many processes, say: the tables at the end tell all
        due_ = begin_ + interval_;
      }
    }
    return making_;
  }

 private:
  PageMaker maker_;
  std::function<Clock::time_point()> now_;
  std::chrono::milliseconds interval_;
  Clock::time_point due_, begin_ = {};
  bool wanted_ = false, making_ = false;
};

}  // namespace tarflow::driver
