// Who of the ranks is alive.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "framework/dist/store_link.h"

namespace tarflow::dist {

struct Failure {
  int rank = 0;  // that failed
  std::string what, repair;
};

// Beats in the store from a thread of its own, and looks at the beats of the others: rank 0 at all,
// the others at rank 0; what rank 0 finds out it tells the others. Starting it is a rank's first
// sign of life.
class Watch {
 public:
  // `hosts`: where each rank is, by rank.
  Watch(StoreLink link, std::string prefix, int rank, std::vector<std::string> hosts,
        std::chrono::milliseconds silence);
  // Does not wait for a store that no longer answers.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // What is wrong with another rank, if anything is.
  std::optional<Failure> failure() const;
  // Asks all ranks to come together; whether any of them did.
  void call_together();
  bool called_together() const;
  // From now on it does not matter that others end; beats go on.
  void expect_ends();
  // "rank 2 (host n7)".
  std::string name(int rank) const;

 private:
  using Clock = std::chrono::steady_clock;
  // What the thread works on; it may outlive the watch.
  struct State;

  std::shared_ptr<State> state_;
  std::thread thread_;
};

// "rank 2 (host n7)".
std::string rank_name(int rank, const std::string& host);

// Under which key a failure is told to all, and as what.
std::string failed_key(const std::string& prefix);
std::string failure_text(const Failure& failure);

}  // namespace tarflow::dist
